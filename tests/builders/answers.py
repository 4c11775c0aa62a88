"""Answers of the services as they cross the wire."""


def a_product_answer(**changes):
    category = {"id": 1, "name": "Grains", "description": ""}
    return {
        "id": 7, "name": "Rice", "description": "", "price": "1.00", "currency": "EUR", "stock": 3, "image": "",
        "category": category, "sku": "rice", "version": 4,
        "created_at": "2026-01-01T00:00:00.000000Z", "updated_at": "2026-01-01T00:00:00.000000Z",
    } | changes  # fmt: skip


def a_cart_answer(**changes):
    return {
        "id": "cart-1", "version": 2, "items": [], "item_count": 0, "subtotal": "0.00", "currency": "EUR",
        "expires_at": None, "warnings": [], "cart_token": None,
    } | changes  # fmt: skip


def an_order_answer(**changes):
    return {
        "id": "order-1", "number": "ABCDEFGHJK", "user": "user-1", "items": [], "subtotal": "1.00", "tax": "0.00",
        "shipping": "0.00", "total": "1.00", "currency": "EUR", "status": "confirmed", "payment_status": "pending",
        "fulfilment_status": "unfulfilled", "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:00.000000Z", "is_completed": False, "version": 3,
    } | changes  # fmt: skip


def a_token_answer(**changes):
    return {
        "access": "a.b.c", "refresh": "r", "token_type": "Bearer", "expires_in": 900, "scope": "", "user_id": "user-1",
    } | changes  # fmt: skip
