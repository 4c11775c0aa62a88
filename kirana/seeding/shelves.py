"""What stands where in the made-up shop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shelf:
    """A category with the words its products are made of, and its prices in whole euros."""

    department: str
    category: str
    kinds: tuple[str, ...]
    nouns: tuple[str, ...]
    sizes: tuple[str, ...]
    cheapest: int
    dearest: int


BRANDS = (
    "Asha", "Bellweather", "Corner & Sons", "Dilli", "Eastgate", "Fernhill", "Gokul", "Harbour", "Indigo",
    "Jasmine Lane", "Kaveri", "Lindqvist", "Meadow", "Nila", "Old Mill", "Parvati", "Quince", "Riverside", "Saffron",
    "Tulsi", "Usha", "Vale", "Willow", "Yamuna",
)  # fmt: skip

_JAR = ("200 g", "340 g", "450 g")
_BAG = ("250 g", "500 g", "1 kg", "2 kg", "5 kg")
_BOTTLE = ("250 ml", "500 ml", "750 ml", "1 l", "1.5 l")
_PIECES = ("1 piece", "pack of 2", "pack of 3", "pack of 6", "pack of 12")

SHELVES = (
    Shelf("Food", "Rice & grains", ("basmati", "brown", "wild", "jasmine", "organic"),
          ("rice", "quinoa", "bulgur", "couscous", "millet"), _BAG, 1, 14),
    Shelf("Food", "Lentils & beans", ("red", "green", "split", "black", "whole"),
          ("lentils", "chickpeas", "beans", "mung dal", "peas"), _BAG, 1, 9),
    Shelf("Food", "Flour & baking", ("fine", "wholemeal", "stone-ground", "plain", "strong"),
          ("flour", "chapati flour", "semolina", "baking powder", "yeast"), _BAG, 0, 7),
    Shelf("Food", "Spices", ("ground", "whole", "roasted", "smoked", "organic"),
          ("cumin", "turmeric", "cardamom", "paprika", "black pepper", "coriander"), ("40 g", "100 g", "200 g"), 1, 8),
    Shelf("Food", "Oils & vinegar", ("cold-pressed", "extra virgin", "refined", "aged", "organic"),
          ("olive oil", "mustard oil", "sunflower oil", "cider vinegar", "sesame oil"), _BOTTLE, 2, 18),
    Shelf("Food", "Jams & spreads", ("smooth", "crunchy", "wild", "low-sugar", "dark"),
          ("peanut butter", "strawberry jam", "orange marmalade", "honey", "hazelnut spread"), _JAR, 1, 9),
    Shelf("Food", "Biscuits & sweets", ("butter", "chocolate", "ginger", "oat", "almond"),
          ("biscuits", "wafers", "cookies", "fudge", "caramels"), ("100 g", "200 g", "400 g"), 0, 6),
    Shelf("Food", "Frozen food", ("frozen", "crispy", "homestyle", "garden", "spicy"),
          ("waffles", "peas", "samosas", "spinach", "potato wedges"), ("300 g", "450 g", "750 g", "1 kg"), 1, 9),
    Shelf("Fresh", "Dairy", ("fresh", "creamy", "light", "farmhouse", "organic"),
          ("milk", "yoghurt", "paneer", "butter", "cheddar"), ("250 g", "500 g", "1 kg"), 0, 8),
    Shelf("Fresh", "Fruit & vegetables", ("ripe", "crisp", "organic", "local", "sweet"),
          ("apples", "bananas", "tomatoes", "onions", "carrots", "mangoes"), ("500 g", "1 kg", "2 kg"), 0, 6),
    Shelf("Drinks", "Tea & coffee", ("strong", "mild", "Assam", "Darjeeling", "decaffeinated"),
          ("tea", "ground coffee", "coffee beans", "chai mix", "green tea"), ("100 g", "250 g", "500 g"), 2, 19),
    Shelf("Drinks", "Juice & water", ("sparkling", "still", "pressed", "cloudy", "tropical"),
          ("apple juice", "mineral water", "lemonade", "mango nectar", "orange juice"), _BOTTLE, 0, 5),
    Shelf("Household", "Cleaning", ("lemon", "concentrated", "gentle", "extra strong", "refill"),
          ("washing-up liquid", "floor cleaner", "laundry powder", "bleach", "glass cleaner"), _BOTTLE, 1, 15),
    Shelf("Household", "Kitchen", ("steel", "wooden", "non-stick", "glass", "enamel"),
          ("saucepan", "chopping board", "ladle", "storage jar", "frying pan"), _PIECES, 4, 59),
    Shelf("Household", "Paper & bags", ("recycled", "soft", "extra strong", "compostable", "three-ply"),
          ("kitchen roll", "toilet tissue", "bin bags", "napkins", "baking paper"), _PIECES, 1, 12),
    Shelf("Personal care", "Bath & body", ("sandalwood", "rose", "unscented", "neem", "lavender"),
          ("soap", "shampoo", "body lotion", "shower gel", "hair oil"), _BOTTLE, 1, 16),
)  # fmt: skip
