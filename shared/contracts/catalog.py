"""Contract of the catalog service: categories, products, stock and reservations."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from shared.contracts.goods import Amount, Amounts, Currency, Description, Image, Name, Priced, Sku
from shared.contracts.method import Answer, Methods, Nothing, Request
from shared.contracts.refusals import Refusal

METHODS = Methods("catalog")

MAX_ON_HAND = 1_000_000_000
MOST_AT_ONCE = 99

ProductId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
CategoryId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Quantity = Annotated[int, Meta(ge=1, le=MOST_AT_ONCE)]
OnHand = Annotated[int, Meta(ge=0, le=MAX_ON_HAND)]
OrderId = Annotated[str, Meta(min_length=36, max_length=36)]

Sort = Literal["relevance", "name", "price", "-price", "newest"]


class Category(Answer, frozen=True, kw_only=True):
    """Where a product stands in the shop."""

    id: int
    name: str
    description: str


class CategoryNode(Answer, frozen=True, kw_only=True):
    """A category with those below it."""

    id: int
    name: str
    description: str
    children: list[CategoryNode]


class Product(Answer, frozen=True, kw_only=True):
    """Something the shop sells. ``stock`` is what can be bought now: on hand less reserved; sales make no version."""

    beside_version: ClassVar[str] = "stock"

    id: int
    name: str
    description: str
    price: str
    currency: str
    stock: int
    image: str
    category: Category
    sku: str
    version: int
    created_at: str
    updated_at: str


class GetProduct(Request, frozen=True, kw_only=True):
    """Ask for one product."""

    product_id: ProductId


class GetProducts(Request, frozen=True, kw_only=True):
    """Ask for many products at once; unknown ids are left out of the answer."""

    product_ids: Annotated[list[ProductId], Meta(max_length=1000)]


class ListProducts(Amounts, frozen=True, kw_only=True):
    """A page of products. ``cursor`` is the ``next_cursor`` of the page before."""

    amounts: ClassVar[tuple[str, ...]] = ("min_price", "max_price")

    category: CategoryId | None = None
    q: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*(?!\n)$")] | None = None
    min_price: Amount | None = None
    max_price: Amount | None = None
    in_stock: bool | None = None
    sort: Sort | None = None
    cursor: Annotated[str, Meta(max_length=1000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class ProductPage(Answer, frozen=True, kw_only=True):
    """Products in order, and where to go on (``None``: this is the end)."""

    items: list[Product]
    next_cursor: str | None


class ListCategories(Request, frozen=True, kw_only=True):
    """Ask for the whole category tree."""


class CreateProduct(Priced, frozen=True, kw_only=True):
    """Put a new product on sale."""

    name: Name
    description: Description
    price: Amount
    category_id: CategoryId
    stock: OnHand
    currency: Currency = "EUR"
    sku: Sku | None = None
    image: Image = ""


class UpdateProduct(Priced, frozen=True, kw_only=True):
    """Change some fields of a product; ``expected_version`` refuses a change of something you did not see."""

    product_id: ProductId
    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    price: Amount | UnsetType = UNSET
    category_id: CategoryId | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    sku: Sku | UnsetType = UNSET
    image: Image | UnsetType = UNSET
    stock: OnHand | UnsetType = UNSET
    expected_version: int | None = None


class DeleteProduct(Request, frozen=True, kw_only=True):
    """Take a product off sale. Orders keep their own copy."""

    product_id: ProductId
    expected_version: int | None = None


class SetStock(Request, frozen=True, kw_only=True):
    """Compare-and-set of what is on hand; never below what is reserved."""

    product_id: ProductId
    on_hand: OnHand
    expected: OnHand
    expected_version: int | None = None


class Line(Request, frozen=True, kw_only=True):
    """So many of a product."""

    product_id: ProductId
    quantity: Quantity


class ReserveStock(Request, frozen=True, kw_only=True):
    """Hold stock for an order: all lines or none. Idempotent by order id."""

    order_id: OrderId
    items: Annotated[list[Line], Meta(min_length=1, max_length=200)]


class ReservedLine(Answer, frozen=True, kw_only=True):
    """What is held, with the product as it was at that moment (the price to freeze)."""

    product: Product
    quantity: int


class Reservation(Answer, frozen=True, kw_only=True):
    """Stock held for one order until ``expires_at`` (RFC 3339)."""

    order_id: str
    lines: list[ReservedLine]
    expires_at: str


class ConfirmStock(Request, frozen=True, kw_only=True):
    """Turn a hold into a sale. Idempotent by order id; re-acquires a hold that expired, or refuses."""

    order_id: OrderId


class ReleaseStock(Request, frozen=True, kw_only=True):
    """Give back what an order held or bought. Idempotent by order id; an unknown order is fine."""

    order_id: OrderId


class ProductRow(Request, frozen=True, kw_only=True):
    """One product of a bulk load; ``category`` is a path of names. The sku decides what is updated."""

    sku: Sku
    name: Name
    description: Description
    price: Amount
    category: Annotated[list[Name], Meta(min_length=1, max_length=3)]
    stock: OnHand
    currency: Currency = "EUR"
    image: Image = ""


class LoadProducts(Request, frozen=True, kw_only=True):
    """Insert or update many products by sku. Rows are checked one by one: a bad row never spoils the rest."""

    rows: Annotated[list[dict[str, Any]], Meta(max_length=5000)]


class BadRow(Answer, frozen=True, kw_only=True):
    """A row that was left out, and why."""

    index: int
    sku: str
    reason: str


class Loaded(Answer, frozen=True, kw_only=True):
    """What a bulk load did."""

    inserted: int
    updated: int
    unchanged: int
    bad: list[BadRow]


class ListSkus(Request, frozen=True, kw_only=True):
    """Product ids by sku, for those who know only skus; unknown skus are left out."""

    skus: Annotated[list[Sku], Meta(max_length=5000)]


class AuditStock(Request, frozen=True, kw_only=True):
    """Ask whether stock, ledger and reservations agree."""

    after_order_id: str = ""
    limit: Annotated[int, Meta(ge=1, le=5000)] = 1000


class StockAudit(Answer, frozen=True, kw_only=True):
    """``violations`` must be empty. ``reservations`` maps a page of order ids to held/sold/released/expired."""

    products: int
    violations: list[str]
    reservations: dict[str, str]
    units_sold: int
    oldest_outbox_seconds: float


class ProductNotFound(Refusal):
    """No such product (``details['product_ids']``)."""

    code = "catalog.product_not_found"
    sentence = "There is no such product."


class CategoryNotFound(Refusal):
    """No such category."""

    code = "catalog.category_not_found"
    sentence = "There is no such category."


class OutOfStock(Refusal):
    """``details['shortages']`` lists every short line: product_id, wanted, available."""

    code = "catalog.out_of_stock"
    sentence = "Some items are not in stock in the wanted quantity."


class SkuTaken(Refusal):
    """Another product has this sku."""

    code = "catalog.sku_taken"
    sentence = "Another product already has this sku."


class StockConflict(Refusal):
    """``expected`` was not what is on hand (``details['on_hand']``), or the new figure is below what is reserved."""

    code = "catalog.stock_conflict"
    sentence = "The stock is not what you expected, or part of it is reserved."


class ReservationLost(Refusal):
    """The hold expired and the units were sold to somebody else, or it was released."""

    code = "catalog.reservation_lost"
    sentence = "The items are no longer held for this order."


GET_PRODUCT = METHODS.reads("get_product", GetProduct, Product)
GET_PRODUCTS = METHODS.reads("get_products", GetProducts, list[Product])
LIST_PRODUCTS = METHODS.reads("list_products", ListProducts, ProductPage)
LIST_CATEGORIES = METHODS.reads("list_categories", ListCategories, list[CategoryNode])
CREATE_PRODUCT = METHODS.changes("create_product", CreateProduct, Product)
UPDATE_PRODUCT = METHODS.changes("update_product", UpdateProduct, Product)
DELETE_PRODUCT = METHODS.changes("delete_product", DeleteProduct, Nothing)
SET_STOCK = METHODS.changes("set_stock", SetStock, Product)
RESERVE_STOCK = METHODS.changes("reserve_stock", ReserveStock, Reservation)
CONFIRM_STOCK = METHODS.changes("confirm_stock", ConfirmStock, Nothing)
RELEASE_STOCK = METHODS.changes("release_stock", ReleaseStock, Nothing)
LOAD_PRODUCTS = METHODS.changes("load_products", LoadProducts, Loaded, operator_only=True)
LIST_SKUS = METHODS.reads("list_skus", ListSkus, dict[str, int], operator_only=True)
AUDIT_STOCK = METHODS.reads("audit_stock", AuditStock, StockAudit, operator_only=True)
