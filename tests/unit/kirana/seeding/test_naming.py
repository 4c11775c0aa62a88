import pytest

from kirana.seeding.naming import package_size, product_name, readable


@pytest.mark.parametrize(
    ("category", "kind", "size", "name"),
    [
        ("FRZN BREAKFAST FOODS", "WAFFLES/PANCAKES/FRENCH TOAST", "12 OZ", "Frozen waffles 12 oz"),
        ("ICE CREAM/MILK/SHERBTS", "TRADITIONAL", "56 OZ", "Ice cream/milk/sherbets, traditional 56 oz"),
        ("BREAD", "BREAD:ITALIAN/FRENCH", "", "Bread, Italian/French"),
        ("SOFT DRINKS", "SFT DRNK SNGL SRV BTL CARB (EX", "20 OZ", "Soft drink single serve bottle carbonated 20 oz"),
        ("COLD CEREAL", "KIDS CEREAL", "15 OZ", "Kids' cereal 15 oz"),
        ("MAGAZINE", "TV/MOVIE-MAGAZINE", "", "TV/movie magazine"),
        ("HOSIERY/SOCKS", "", "", "Hosiery/socks"),
        ("", "", "", "Assorted goods"),
        ("", "", "6 CT", "Assorted goods 6 ct"),
    ],
)
def test_a_till_line_becomes_a_name(category, kind, size, name):
    assert product_name(category, kind, size) == name


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("12 OZ", "12 oz"), ("12.0 OZ", "12 oz"), (".33 OZ", "0.33 oz"), ("6/16.9 OZ", "6 x 16.9 oz"),
        ("6 PK/12 OZ", "6 x 12 oz"), ("1/2 GAL", "1/2 gal"), ("HALF GAL", "half gal"), ("P    7 OZ", "7 oz"),
        ("054700 7 OZ", "7 oz"), ("CTN", "carton"), ("2 L*", "2 L"), ("750 ML", "750 ml"),
        ("SCAN KPC", ""), ("", ""), ("12", ""),
    ],
)  # fmt: skip
def test_a_package_size_is_read_or_left_out(given, size):
    assert package_size(given) == size


def test_a_word_cut_by_the_till_is_dropped():
    assert product_name("JUICE", "DAIRY CASE 100% PURE JUICE - O", "") == "Dairy case 100% pure juice"


def test_names_are_never_too_long_for_the_catalog():
    assert len(product_name("X" * 500, "Y" * 500, "12 OZ")) <= 200


def test_plain_words_stay_as_they_are():
    assert readable("GREEN OLIVES") == "Green olives"
