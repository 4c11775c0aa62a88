import pytest

from shared.settings.reader import BadSettings, Reader, boolean, one_of, positive, words


def test_every_fault_is_reported_at_once():
    reader = Reader({"KIRANA_PORT": "many", "KIRANA_COLOUR": "pink"})
    reader.read("PORT", positive, 1)
    reader.read("COLOUR", one_of("red", "blue"), "red")
    reader.read("SECRET", str)

    with pytest.raises(BadSettings) as caught:
        reader.finish()

    assert len(caught.value.faults) == 3
    assert all(name in str(caught.value) for name in ("KIRANA_PORT", "KIRANA_COLOUR", "KIRANA_SECRET"))
    assert caught.value.code == 78


def test_a_secret_is_read_from_the_file_that_is_named(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush\n")

    reader = Reader({"KIRANA_PASSWORD_FILE": str(secret), "KIRANA_PASSWORD": "ignored"})

    assert reader.read("PASSWORD", str) == "hush"


def test_a_missing_secret_file_is_a_fault_not_a_crash(tmp_path):
    reader = Reader({"KIRANA_PASSWORD_FILE": str(tmp_path / "absent")})

    reader.read("PASSWORD", str)

    with pytest.raises(BadSettings):
        reader.finish()


def test_an_empty_variable_counts_as_absent():
    assert Reader({"KIRANA_PORT": ""}).read("PORT", positive, 8000) == 8000


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("0", False), ("On", True), ("false", False)])
def test_booleans_are_words_people_use(text, value):
    assert boolean(text) is value


def test_words_are_split_at_commas_and_trimmed():
    assert words(" a, b,,c ") == ("a", "b", "c")
