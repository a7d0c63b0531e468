"""Lists cost the same number of statements, however long they are."""

from __future__ import annotations

import pytest

from tests.api.conftest import World
from tests.api.test_browsers import sign_in
from tests.pages.test_what_pages_cost import statements


@pytest.mark.parametrize(
    ("path", "most"),
    [("/accounts", 3), ("/members", 4), ("/audit", 4), ("/sessions", 4), ("/remembered-devices", 4)],
)
def test_a_list_costs_a_fixed_number_of_statements(world: World, path: str, most: int) -> None:
    """One and twenty rows alike, the look at the token among them."""
    query = {"member": world.priya.id} if path in ("/sessions", "/remembered-devices") else {}
    world.desk.get(path, **query)

    def cost() -> int:
        with statements(world.service) as sent:
            world.desk.get(path, **query)
        return len(sent)

    before = cost()
    for number in range(8):
        sign_in(world)
        world.service.member(world.northgate, f"person{number}@northgate.example", accepted=number % 2 == 0)
        world.service.services.registry.client("desk")
    assert cost() == before <= most
