from datetime import timedelta

from rpc_services.identity.throttle import PER_ACCOUNT, PER_ADDRESS, PER_VISITOR, Allowance, counts_of


def keys(username="anna", address="192.0.2.1"):
    return [count.key for count in counts_of(username, address, scale=1)]


def test_a_try_counts_against_its_address_the_visitor_and_last_the_account():
    counts = counts_of("anna", "192.0.2.1", scale=1)

    assert [count.allowance for count in counts] == [PER_ADDRESS, PER_VISITOR, PER_ACCOUNT]


def test_a_try_without_an_address_is_a_visitor_of_the_account_all_the_same():
    counts = counts_of("anna", "", scale=1)

    assert [count.allowance for count in counts] == [PER_VISITOR, PER_ACCOUNT]
    assert counts[-1].key == keys()[-1]


def test_only_the_accounts_counter_is_waived_and_only_for_a_visitor_with_an_address():
    address, visitor, account = counts_of("anna", "192.0.2.1", scale=1)

    assert (address.waived_for, visitor.waived_for, account.waived_for) == (None, None, visitor.key)
    assert [count.waived_for for count in counts_of("anna", "", scale=1)] == [None, None]


def test_visitors_of_one_account_from_two_addresses_share_only_the_accounts_counter():
    assert set(keys()) & set(keys(address="198.51.100.7")) == {keys()[-1]}


def test_another_spelling_of_a_name_is_the_same_account():
    assert keys("ANNA") == keys("anna")
    assert keys("anna")[-1] != keys("berta")[-1]


def test_all_addresses_of_one_ipv6_network_count_together():
    assert keys(address="2001:db8::1") == keys(address="2001:db8::ffff") != keys(address="2001:db8:0:1::1")


def test_the_keys_tell_neither_name_nor_address():
    assert not any(b"anna" in key or b"192" in key for key in keys())


def test_a_scaled_allowance_is_more_generous_in_burst_and_pace():
    assert Allowance(10, timedelta(minutes=1)).scaled(1000) == Allowance(10_000, timedelta(milliseconds=60))
