from shared.logs.names import LONGEST_NAME, MOST_NAMES, ByName


def test_a_name_is_looked_into_once():
    asked = []
    meanings = ByName(lambda name: asked.append(name) or len(name))

    assert [meanings["abc"], meanings["abc"]] == [3, 3]
    assert asked == ["abc"]


def test_names_from_input_never_fill_the_memory():
    meanings = ByName(len)

    for number in range(3 * MOST_NAMES):
        meanings[str(number)]
        meanings["x" * LONGEST_NAME + str(number)]

    assert len(meanings) <= MOST_NAMES
    assert max(map(len, meanings)) <= LONGEST_NAME
