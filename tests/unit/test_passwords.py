"""Which passwords may be set (domain D21), and that they are hashed and compared as they are (ASVS 6.2)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsvc.accounts.passwords import PasswordProblem, PasswordRules, Refused
from authsvc.crypto.breached import BreachedPasswords
from authsvc.crypto.passwords import Busy, HashingLane, Passwords
from authsvc.policy.load import load
from authsvc.policy.schema import PasswordPolicy

POLICY = load(None).password
CONTEXT = ("Dana Whitfield", "dana@northgate.example", "Northgate Capital Partners")
TOO_SHORT, TOO_LONG, BREACHED, COMMON, PERSONAL = PasswordProblem
#: As long as allowed, and nobody's favourite.
LONG = "".join(chr(97 + (index * index * 7 + index // 3) % 26) for index in range(256))


def refuse(password: str, policy: PasswordPolicy, *, context: Iterable[str], breached: bytes = b"") -> Refused | None:
    """The rules' answer; `breached`: the list of leaked passwords."""
    return PasswordRules(policy, BreachedPasswords(breached)).refuse(password, context=context)


@pytest.fixture(scope="module")
def cheap() -> Passwords:
    """The same hash at no cost."""
    return Passwords(memory_kib=8, iterations=1, parallelism=1)


@pytest.mark.parametrize(
    "password",
    [
        "quiet harbor ma",
        "quiet harbor maple lantern",
        "vkwoeicmxlqprty",
        "                x7 fjord  ",
        "tâche élève naïve où",
        "静かな港と楓の灯りと古い時計塔と",
        "🦊🌧🪁🧭🥁🧲🛶🎻🪴🧦🍋🐌🛰🧵🕯",
        "a quiet northgate harbor maple",
        "\0quiet\0harbor\0maple\0",
        LONG,
    ],
)
def test_d21_fifteen_characters_of_any_kind_will_do(password: str) -> None:
    """No composition rules, any characters, counted as a person counts them; up to 256."""
    assert refuse(password, POLICY, context=CONTEXT) is None


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", TOO_SHORT),
        ("quiet harbor m", TOO_SHORT),
        ("🦊" * 14, TOO_SHORT),
        (LONG + "x", TOO_LONG),
        ("x" * 100_000, TOO_LONG),
        ("passwordpassword", COMMON),
        ("password1234567", COMMON),
        ("123456789012345", COMMON),
        ("qwertyuiopasdfgh", COMMON),
        ("iloveyouiloveyou", COMMON),
        ("letmeinletmeinletmein", COMMON),
        ("trustno1trustno1", COMMON),
        ("aaaaaaaaaaaaaaa", COMMON),
        (" " * 15, COMMON),
        ("northgate capital partners", PERSONAL),
        ("NorthgateCapitalPartners!!", PERSONAL),
        ("Dana Whitfield 1984", PERSONAL),
        ("danawhitfield12345", PERSONAL),
        ("DANA-WHITFIELD-2026!", PERSONAL),
        ("investor portal 2026", PERSONAL),
        ("imscre-ims-authsvc-1", PERSONAL),
    ],
)
def test_d21_a_password_is_refused_with_the_reason(password: str, problem: PasswordProblem) -> None:
    """Too short, too long, common or made of what everybody knows about the person (ASVS 6.2.1, 6.2.4, 6.2.11)."""
    assert refuse(password, POLICY, context=CONTEXT) == Refused(problem, len(password))


def test_d21_only_what_stands_in_the_file_of_leaks_is_said_to_have_leaked() -> None:
    """Whoever is told that a password leaked stops using it elsewhere; of one that is merely easy it is not known."""
    leaked = f"{sha1(b'passwordpassword', usedforsecurity=False).hexdigest().upper()}:7\n".encode()
    for breached, problem, said in (
        (leaked, BREACHED, "This password has appeared in a data breach. Choose a different one."),
        (b"", COMMON, "This password is easy to guess. Choose a different one."),
    ):
        refused = refuse("passwordpassword", POLICY, context=CONTEXT, breached=breached)
        assert refused == Refused(problem, 16)
        assert refused.words(POLICY) == said


def test_what_is_personal_depends_on_the_person() -> None:
    """Another person may use a colleague's name; nobody is told whose it is."""
    assert refuse("danawhitfield12345", POLICY, context=("Priya Raman", "priya@harbor.example", "Harbor")) is None


def test_the_policy_decides_length_and_lists() -> None:
    """policies/password.yaml may lower the length to 8, not below."""
    lax = POLICY.model_copy(update={"min_length": 8, "reject_common": False, "reject_context": False})
    assert refuse("password", lax, context=CONTEXT) is None
    assert refuse("danadana", lax, context=CONTEXT) is None
    assert refuse("passwor", lax, context=CONTEXT) == Refused(TOO_SHORT, 7)
    with pytest.raises(ValueError, match="min_length"):
        PasswordPolicy.model_validate(POLICY.model_dump() | {"min_length": 7})


@settings(max_examples=50)
@given(st.text(st.characters(codec=None), max_size=300), st.lists(st.text(max_size=40), max_size=3))
def test_whatever_is_typed_is_taken_or_refused(password: str, context: list[str]) -> None:
    """Lone surrogates, control characters and long text are passwords like others: the rule never raises."""
    found = refuse(password, POLICY, context=context)
    assert found is None or found.length == len(password)


@pytest.mark.parametrize(
    "other",
    [
        "quiet harbor maple lantern ",
        " quiet harbor maple lantern",
        "Quiet harbor maple lantern",
        "quiet harbor maple lantern\0",
        "quiet harbor maple lantern\0more",
        "quiet  harbor maple lantern",
        "quiet harbor maple lanterne\u0301",
        "quiet harbor maple lantern\ud800",
        "",
    ],
)
def test_lg_09_a_password_is_compared_exactly_as_received(cheap: Passwords, other: str) -> None:
    """No trimming, no folding, no cut at a NUL (ASVS 6.2.8)."""
    stored = cheap.hash("quiet harbor maple lantern")
    assert cheap.verify(stored, "quiet harbor maple lantern")
    assert not cheap.verify(stored, other)


@pytest.mark.parametrize("password", [LONG[:73], LONG, "\ud800" * 15, "\0" * 15, "é" * 200])
def test_lg_09_every_character_counts_whatever_it_is(cheap: Passwords, password: str) -> None:
    """Not 72 bytes, not up to a NUL; a lone surrogate is itself and nothing like it."""
    stored = cheap.hash(password)
    assert cheap.verify(stored, password)
    assert not cheap.verify(stored, password[:-1])
    assert not cheap.verify(stored, password[:-1] + "\ufffd")


def test_the_hash_is_argon2id_at_the_costs_of_the_policy() -> None:
    """Pinned: 19 MiB, 2 passes, 1 lane (ASVS 11.4.2). Whoever changes them changes this line too."""
    costs = POLICY.hash
    assert (costs.memory_kib, costs.iterations, costs.parallelism) == (19456, 2, 1)
    real = Passwords(memory_kib=costs.memory_kib, iterations=costs.iterations, parallelism=costs.parallelism)
    stored = real.hash("quiet harbor maple lantern")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert real.dummy.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert real.verify(stored, "quiet harbor maple lantern")
    assert not real.needs_rehash(stored)


def test_a_hash_of_other_costs_still_verifies_and_is_due(cheap: Passwords) -> None:
    """Costs are in the hash; a change reaches each person at their next sign-in."""
    dearer = Passwords(memory_kib=16, iterations=1, parallelism=1)
    stored = cheap.hash("quiet harbor maple lantern")
    assert dearer.verify(stored, "quiet harbor maple lantern")
    assert dearer.needs_rehash(stored)


def test_equal_passwords_have_different_hashes(cheap: Passwords) -> None:
    """Salted: one guess tests one person."""
    assert cheap.hash("quiet harbor maple lantern") != cheap.hash("quiet harbor maple lantern")


@pytest.mark.parametrize("stored", ["", "plain text", "$argon2id$v=19$broken", "$2b$12$abcdefghijklmnopqrstuv"])
def test_a_stored_value_that_is_no_hash_opens_nothing(cheap: Passwords, stored: str) -> None:
    """A damaged row is a wrong password, not a crash and never a way in."""
    assert not cheap.verify(stored, "")
    assert not cheap.verify(stored, stored)


def test_nobody_has_the_password_behind_the_dummy_hash(cheap: Passwords) -> None:
    """What an unknown address is verified against differs in every process (LG-02)."""
    assert cheap.dummy != Passwords(memory_kib=8, iterations=1, parallelism=1).dummy
    assert not cheap.verify(cheap.dummy, "")


def test_a_full_hashing_lane_says_so_at_once() -> None:
    """A storm of sign-ins waits in a queue of known length and is then told to come back (spikes.md 7)."""
    lane = HashingLane(waiting=1)
    with lane.place() as run:
        assert run(str.upper, "a") == "A"
        with pytest.raises(Busy), lane.place():
            pass
    with lane.place() as run:
        assert run(str.upper, "b") == "B"
