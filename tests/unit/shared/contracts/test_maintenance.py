import msgspec

from shared.contracts.maintenance import Maintenance, key_of, read_maintenance


def test_no_key_is_no_wish_and_a_key_nobody_can_read_takes_the_instance_out():
    assert read_maintenance(None) is None
    for garbage in (b"", b"yes", b'{"share": "half"}', b"\xff"):
        assert read_maintenance(garbage).is_out, garbage


def test_a_share_is_for_a_version_on_trial_and_none_means_out():
    wish = read_maintenance(msgspec.json.encode(Maintenance(reason="disk", by="Asha", share=0.2)))

    assert not wish.is_out
    assert wish.by == "Asha"
    assert Maintenance().is_out
    assert key_of("catalog-1") == "kirana/maintenance/catalog-1"
