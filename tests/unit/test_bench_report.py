"""The benchmark's arithmetic: a wrong figure in a table is believed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from authsvc.policy.load import load
from bench.browser import FirstForm, UnexpectedAnswer
from bench.driver import MOST_FAILURES, run_lanes
from bench.processes import spent
from bench.report import Report, Sample, Spread, markdown, notes_of, percentile, summarize, terminal_table
from bench.targets import raised_policies


def sample(cpu_s: float = 1.0, **given: object) -> Sample:
    """A good round: 1,000 requests in two seconds."""
    return Sample(**{"requests": 1000, "elapsed_s": 2.0, "cpu_s": cpu_s, "p50_ms": 3.0, "p99_ms": 9.0, **given})  # type: ignore[arg-type]


def report(*samples: Sample) -> Report:
    """Of one operation."""
    row = summarize("jwks", "key set", samples)
    return Report("authsvc", "2026-11-22", {"cores": "two"}, [row], {"jwks": samples})


def on_the_terminal(made: Report) -> str:
    """The table as it is printed."""
    console = Console(file=io.StringIO(), width=120)
    console.print(terminal_table(made.rows, title="t"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_median_is_not_moved_by_one_disturbed_round() -> None:
    """That is why it is a median; the range shows that there was one."""
    row = summarize("jwks", "key set", [sample(0.4), sample(0.4), sample(0.5), sample(0.3), sample(9.0)])

    assert row.cpu_ms == Spread(0.4, 0.3, 9.0)
    assert str(row.cpu_ms) == "0.400 [0.300..9.00]"


def test_cpu_is_divided_by_the_requests_of_its_own_round() -> None:
    """A round in which half as much was done for half the CPU costs the same."""
    row = summarize("jwks", "key set", [sample(1.0), sample(0.5, requests=500)])

    assert row.cpu_ms == Spread(1.0, 1.0, 1.0)
    assert row.per_s == Spread(375.0, 250.0, 500.0)
    assert row.requests == 1500


def test_cpu_of_a_tree_is_the_difference_of_each_process() -> None:
    """A process that began between the readings counts whole."""
    used = spent({(10, 1.0): 5.0, (11, 2.0): 7.0}, {(10, 1.0): 5.5, (11, 2.0): 7.25, (12, 3.0): 0.25})

    assert (used.cpu_s, used.ended) == (1.0, 0)


def test_a_process_that_took_over_a_number_is_another_one() -> None:
    """Its start tells it apart; the one before it is gone, and what it used last is not known."""
    used = spent({(10, 1.0): 5.0}, {(10, 8.0): 0.5})

    assert (used.cpu_s, used.ended) == (0.5, 1)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([1.0], 0.5, 1.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 11)], 0.99, 10.0),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    """Nearest rank: nothing is interpolated, so a p99 is never better than what somebody waited."""
    assert percentile(values, share) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    """Zero would read as fast."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_one_failed_answer_makes_the_row_invalid() -> None:
    """A refusal costs less than an answer, so its CPU figure would flatter; it is not shown anywhere."""
    made = report(sample(0.4321), sample(0.4321, errors={"status above 399": 2, "timeouts": 0}), sample(0.4321))

    assert not made.rows[0].is_valid
    assert made.rows[0].errors == {"status above 399": 2}
    for shown in (markdown(made), on_the_terminal(made)):
        assert "invalid" in shown
        assert "0.432" not in shown
    assert notes_of(made.rows) == ["key set is invalid: 2 x status above 399 beside 3000 good answers."]


def test_an_operation_without_any_answer_is_invalid() -> None:
    """Nothing divided by nothing is no figure."""
    made = report(sample(requests=0, p50_ms=None, p99_ms=None))

    assert not made.rows[0].is_valid
    assert notes_of(made.rows) == ["key set is invalid: no answer at all."]
    assert "| key set | invalid | – |" in markdown(made)


def test_the_tables_show_cpu_first_and_every_range() -> None:
    """Requests per second depend on the neighbors of a shared machine, CPU per request far less."""
    made = report(sample(0.25, aside_s=0.125), sample(0.5, aside_s=0.125), sample(0.75, aside_s=0.125))

    lines = markdown(made).splitlines()
    assert "| operation | CPU ms | of it aside | per second | p50 ms | p99 ms | errors |" in lines
    row = "| key set | 0.500 [0.250..0.750] | 0.125 [0.125..0.125] | 500 [500..500] | 3.00 [3.00..3.00] | 9.00 [9.00..9.00] | 0 |"
    assert row in lines
    assert "- cores: two" in lines
    assert "[0.250..0.750]" in on_the_terminal(made)


def test_a_store_on_this_machine_has_a_column_of_its_own() -> None:
    """Its CPU is not the server's, and leaving it out would hide what was moved there."""
    made = report(sample(1.0, store_s=0.25))

    assert "| CPU ms | of it aside | store CPU ms |" in markdown(made)
    assert made.rows[0].cpu_ms == Spread(1.0, 1.0, 1.0)
    assert made.rows[0].store_ms == Spread(0.25, 0.25, 0.25)


def test_a_sign_in_is_told_as_a_multiple_of_one_password_verification() -> None:
    """Both are of the same round: a machine that is slower for a while is slower for both."""
    slow = sample(2.4, requests=40, verify_s=0.04, http_requests=200)
    row = summarize("sign-in", "sign-in", [sample(1.2, requests=40, verify_s=0.02, http_requests=200), slow])

    assert row.verifications == Spread(1.5, 1.5, 1.5)
    assert notes_of([row]) == [
        "sign-in costs 1.50 [1.50..1.50] times one password verification.",
        "sign-in takes 5.0 requests.",
    ]


def test_the_json_holds_every_round() -> None:
    """Whoever doubts a median can look."""
    plain = report(sample(0.4), sample(0.5)).as_json()

    assert [round_["cpu_s"] for round_ in plain["rounds"]["jwks"]] == [0.4, 0.5]
    assert plain["rows"][0]["valid"] is True


def test_a_lane_that_has_nothing_left_ends_its_round() -> None:
    """What is left of the time is not waited for: the rate would sink with it."""
    left = [True, True, True, False]
    outcome = run_lanes([lambda: left.pop(0)], 60.0)

    assert outcome["requests"] == 3
    assert outcome["elapsed_s"] < 30
    assert outcome["errors"] == {}


def test_failures_are_counted_by_kind_and_not_as_requests() -> None:
    """A broken chain gives up after some of them."""

    def refused() -> bool:
        raise UnexpectedAnswer("POST /oauth/token: 400")

    outcome = run_lanes([refused, refused], 60.0)

    assert outcome["errors"] == {"POST /oauth/token: 400": 2 * MOST_FAILURES}
    assert (outcome["requests"], outcome["p50_ms"]) == (0, None)


def test_the_first_form_of_a_page_is_read_with_its_hidden_fields() -> None:
    """Fields of other forms, and of none, are not sent."""
    form = FirstForm(
        b'<input name="stray"><form method="post" action="/sign-in?request=1">'
        b'<input type="hidden" name="csrf_token" value="a&amp;b"><input name="email"></form>'
        b'<form action="/other"><input name="other" value="1"></form>'
    )

    assert (form.action, form.fields) == ("/sign-in?request=1", {"csrf_token": "a&b", "email": ""})


def test_the_policies_under_measurement_differ_in_the_limits_alone(tmp_path: Path) -> None:
    """What is measured must be what is shipped: the same costs, lifetimes and rules."""
    shipped, raised = load(None), load(raised_policies(tmp_path / "policies"))

    assert raised.throttle != shipped.throttle
    assert {rate.count for _, rates in raised.throttle.limits for rate in rates} == {1_000_000}
    for part in ("mfa", "password", "tokens", "sessions"):
        assert getattr(raised, part) == getattr(shipped, part)
