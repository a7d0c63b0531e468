"""Policy files: strict reading, every problem at once, and a README and defaults that cannot drift from the schema."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from annotated_types import Ge, Le
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from authsvc.errors import AuthsvcError, ConfigurationError
from authsvc.policy.cli import policy as policy_group
from authsvc.policy.load import FILES, Policies, PolicyError, StrictLoader, load, parse
from authsvc.policy.schema import MfaPolicy
from authsvc.policy.throttle import LimitName, Limits
from authsvc.policy.values import UNITS, Rate, UnknownPolicyName, format_duration, parse_duration, parse_rate

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "policies"
MODELS: dict[str, type[BaseModel]] = {f"{name}.yaml": model for name, model in get_type_hints(Policies).items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped policies to spoil."""
    copy = tmp_path / "policies"
    shutil.copytree(FOLDER, copy)
    return copy


def edit(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert text.count(old) == 1, f"{old!r} is not in {file} exactly once"
    (folder / file).write_text(text.replace(old, new))


def problems(folder: Path) -> list[str]:
    """What `load` says is wrong, without the folder in front."""
    with pytest.raises(PolicyError) as caught:
        load(folder)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


def leaves(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field that holds a value, by its path in the file."""
    for name, field in model.model_fields.items():
        here = f"{path}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{here}.")
        else:
            yield here, field


ALL_LEAVES = [(file, path, field) for file, model in MODELS.items() for path, field in leaves(model)]


def written(file: str, path: str) -> str:
    """What the shipped file has at `path`, as README's default column shows it; a dash for a field left out."""
    value: Any = StrictLoader((FOLDER / file).read_text()).get_single_data()
    for part in path.split("."):
        value = value.get(part, "-")
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def test_the_shipped_policies_are_the_decided_ones() -> None:
    """The defaults an installation gets without touching a file."""
    policies = load(None)
    mfa, code = policies.mfa, policies.mfa.code
    team, investors = mfa.for_audience("team"), mfa.for_audience("investors")
    assert (team, investors) == (mfa.audiences.team, mfa.audiences.investors)
    assert team.methods == investors.methods == ("email", "sms", "totp")
    assert mfa.totp.drift_steps == 1
    assert (team.enforced_by_default, investors.enforced_by_default) == (False, False)
    assert (team.sms_implies, investors.sms_implies) == (None, "email")
    assert (code.digits, code.tries, code.resend_after) == (6, 5, timedelta(seconds=30))
    assert (code.lifetime.email, code.lifetime.sms) == (timedelta(minutes=10), timedelta(minutes=5))
    assert mfa.remembered_device.lifetime == timedelta(days=30)
    assert mfa.phone.regions == ("US",)
    assert policies.throttle.text_messages.daily_budget == 100_000_000
    assert policies.tokens.refresh.retry_window == timedelta(seconds=30)
    assert (policies.exports.kept, policies.exports.per_day) == (timedelta(days=7), 20)
    assert (policies.sessions.idle, policies.sessions.absolute) == (timedelta(minutes=30), timedelta(hours=12))


def test_production_password_hashing_is_the_owasp_minimum() -> None:
    """OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB of memory, 2 iterations, parallelism 1."""
    cost = load(None).password.hash
    assert (cost.memory_kib, cost.iterations, cost.parallelism) == (19456, 2, 1)


def test_the_packaged_defaults_are_the_folder_in_the_checkout() -> None:
    """authsvc/default_policies is a relative link: one folder is edited, and the wheel holds a copy of it."""
    link = CHECKOUT / "authsvc" / "default_policies"
    assert link.readlink() == Path("../policies")
    assert link.resolve() == FOLDER.resolve()
    assert {file.name for file in FOLDER.glob("*.yaml")} == set(FILES) == set(MODELS)
    assert load(None) == load(FOLDER)


def test_every_mistake_of_every_file_is_told_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One start shows them all, each with its file (the folder as it was given) and field, and nothing else."""
    edit(folder, "mfa.yaml", "tries: 5", "tries: 0")
    edit(folder, "mfa.yaml", "  digits: 6\n", "")
    edit(folder, "tokens.yaml", "access_token: 5m", "access_token: 300")
    edit(folder, "sessions.yaml", "per_user: 20", "per_user: 20\nper_person: 3")
    (folder / "password.yaml").unlink()
    (folder / "colours.yaml").write_text("a: 1\n")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ConfigurationError) as caught:
        load(Path("policies"))
    assert caught.value.problems == [
        "policies/mfa.yaml: code.digits: is missing; policies/README.md gives its default",
        "policies/mfa.yaml: code.tries: must be at least 1 (got 0)",
        "policies/password.yaml: is missing; a policies folder holds all of its files",
        "policies/tokens.yaml: access_token: needs a unit: write a unit after the number, as in 300s or 300m (got 300)",
        "policies/sessions.yaml: per_person: is not a field of this file",
        f"policies/colours.yaml: is not a policy file; the files are {', '.join(FILES)}",
    ]


# Where, what is written there, and the problem (None: allowed); a bound is tried from both sides where that matters.
SPOILT = [
    ("mfa.schema", "authsvc/mfa/2", "schema: must be 'authsvc/mfa/1' (got 'authsvc/mfa/2')"),
    ("mfa.code.tries", 11, "code.tries: must be at most 10 (got 11)"),
    ("mfa.code.tries", True, "code.tries: must be a whole number (got true)"),
    ("mfa.code.tries", "5", "code.tries: must be a whole number (got '5')"),
    ("mfa.code.digits", 5, "code.digits: must be at least 6 (got 5)"),
    ("mfa.code.digits", 11, "code.digits: must be at most 10 (got 11)"),
    ("mfa.code.lifetime.email", "601s", "code.lifetime.email: must be at most 10 minutes (got 601s)"),
    ("mfa.code.lifetime.sms", "11m", "code.lifetime.sms: must be at most 10 minutes (got 11m)"),
    ("mfa.code.lifetime.sms", "1m", None),
    ("mfa.code.resend_after", "301s", "code.resend_after: must not be longer than a code's lifetime (got 301s)"),
    ("mfa.code.resend_after", None, "code.resend_after: must be a whole number and a unit, as in 10m (got nothing)"),
    ("mfa.remembered_device.lifetime", "31d", "remembered_device.lifetime: must be at most 30 days (got 31d)"),
    ("mfa.remembered_device.sliding", True, "remembered_device.sliding: must be false (got true)"),
    ("mfa.remembered_device.sliding", 0, "remembered_device.sliding: must be false (got 0)"),
    ("mfa.last_try_pause", "\ud800", "last_try_pause: must be a whole number and a unit, as in 30s, 10m, 12h or 30d"),
    ("mfa.phone", "US", "phone: must be a group of fields (got 'US')"),
    ("mfa.phone.regions", "US", "phone.regions: must be a list, as in [first, second] (got 'US')"),
    ("mfa.phone.regions", [], "phone.regions: must not be empty (got an empty list)"),
    ("mfa.phone.regions", ["UK"], "phone.regions[0]: must be a two-letter region code, as in US (got 'UK')"),
    ("mfa.phone.regions", ["US", "US"], "phone.regions: must not name anything twice (got a list)"),
    ("mfa.audiences.investors.sms_implies", "totp", "audiences.investors.sms_implies: must be 'email' (got 'totp')"),
    ("mfa.audiences.investors.sms_implies", None, None),
    ("mfa.audiences.investors.methods", ["sms"], "audiences.investors.sms_implies: implies email, which must then be"),
    ("mfa.audiences.team.methods", ["voice"], "audiences.team.methods[0]: must be 'email', 'sms' or 'totp'"),
    ("mfa.totp.drift_steps", 3, "totp.drift_steps: must be at most 2 (got 3)"),
    ("mfa.totp.drift_steps", 0, None),
    ("throttle.text_messages.price", "1e-2", "text_messages.price: must be an amount, as in 0.0075 or 100"),
    ("throttle.text_messages.daily_budget", "0.009", "text_messages.daily_budget: must pay for one message at least"),
    ("throttle.text_messages.when_spent", "never", "text_messages.when_spent: must be 'email' or 'wait'"),
    ("password.min_length", 7, "min_length: must be at least 8 (got 7)"),
    ("password.min_length", 8, None),
    ("password.reject_common", "yes", "reject_common: must be true or false (got 'yes')"),
    ("password.hash.iterations", 1, "hash.iterations: must be at least 2 with 19456 KiB of memory (got 1)"),
    ("password.hash", {"memory_kib": 47104, "iterations": 1, "parallelism": 1}, None),
    ("tokens.authorization_code", "11m", "authorization_code: must be at most 10 minutes (got 11m)"),
    ("tokens.access_token", "61m", "access_token: must be at most 1 hour (got 61m)"),
    ("tokens.refresh.retry_window", "61s", "refresh.retry_window: must be at most 1 minute (got 61s)"),
    ("tokens.refresh.retry_window", "0s", None),
    ("tokens.keys.publish_ahead", "359s", "keys: publish_ahead must be at least jwks_max_age and clock_skew together"),
    ("tokens.keys.publish_ahead", "6m", None),
    ("tokens.keys.rotate_every", "13d", "keys.publish_ahead: must not be longer than rotate_every (got 14d)"),
    ("sessions.idle", "721m", "idle: must be at most 12 hours (got 721m)"),
    ("sessions.absolute", "29m", "idle: must not be longer than absolute, 29m (got 30m)"),
    ("sessions.authorization_request", "14m", "authorization_request: must not be shorter than attempt, 15m (got 14m)"),
    ("sessions.attempt", "9m", "attempt: must not be shorter than the longest code.lifetime in mfa.yaml, 10m (got 9m)"),
    ("throttle.limits.send_per_user", "10 per 1h", "limits.send_per_user: must be a list, as in [first, second] (got"),
    ("throttle.limits.send_per_user", [], "limits.send_per_user: must not be empty (got an empty list)"),
    ("throttle.limits.send_per_user", [10], "limits.send_per_user[0]: must read like 10 per 15m (got 10)"),
    ("throttle.limits.send_per_user", ["9 per 60s", "8 per 1m"], "limits.send_per_user: must not hold two rates over"),
    ("throttle.limits.send_per_user", ["9 per 1m burst 8"], "limits.send_per_user[0]: must not have a burst below its"),
    ("throttle.limits.sent_per_user", ["9 per 1m"], "limits.sent_per_user: is not a field of this file"),
]


@pytest.mark.parametrize(("where", "value", "problem"), SPOILT)
def test_what_a_file_may_say_is_bounded(folder: Path, where: str, value: object, problem: str | None) -> None:
    """Promises of the product and of the standards cannot be configured away."""
    name, *path, last = where.split(".")
    file = folder / f"{name}.yaml"
    group = content = yaml.safe_load(file.read_text())
    for part in path:
        group = group[part]
    group[last] = value
    file.write_text(yaml.safe_dump(content))
    if problem is None:
        load(folder)
    else:
        (found,) = problems(folder)
        assert found.startswith(f"{name}.yaml: {problem}")


def test_a_field_written_twice_is_refused_with_its_line(folder: Path) -> None:
    """YAML parsers keep one of the two silently; the reader of the file may see the other."""
    edit(folder, "password.yaml", "min_length: 15\n", "min_length: 15\nmin_length: 8\n")
    edit(folder, "password.yaml", "max_length: 256", "max_length: 2")
    assert problems(folder) == [
        "password.yaml: line 5: min_length is written twice (first on line 4)",
        "password.yaml: max_length: must be at least 64 (got 2)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("# nothing", "is empty"),
        ("- a", "must be a group of fields (got a list)"),
        ("a: 1\n b: [", "line 2: mapping values are not allowed here"),
        ("a: 1\n---\nb: 1", "line 2: expected a single document in the stream, but found another document"),
        ("a: &x 1\nb: *x", "line 2: aliases and tags are not used here"),
        ("a: !!python/object/apply:os.system [true]", "line 1: aliases and tags are not used here"),
        ('a: "\\UFFFFFFFF"', "holds an escape that is no character"),
        ("a: \x07", "holds a character that YAML does not allow, at position 3"),
        ("[" * 5000, "is nested too deeply"),
    ],
)
def test_yaml_that_is_no_policy_is_refused_in_a_sentence(text: str, problem: str) -> None:
    """Whatever the file holds, the answer is a problem and not a traceback."""
    assert parse(text, MfaPolicy) == (None, [problem])


def test_words_with_a_second_meaning_in_yaml_stay_words() -> None:
    """YAML 1.1 reads off as false, 010 as 8 and 1:30 as 90; here the schema sees what was written."""
    content = StrictLoader("a: off\nb: 010\nc: 1:30\nd: 2026-11-22\ne: 0x10\n5: 1e3").get_single_data()
    assert content == {"a": "off", "b": "010", "c": "1:30", "d": "2026-11-22", "e": "0x10", "5": "1e3"}


@pytest.mark.parametrize("text", ["<<: 1", "? [a]\n: 1", '"a\\nb": 1', '"\\ud800": 1', '"\\e[31m": 1', "'': 1"])
def test_a_field_with_an_odd_name_is_told_by_its_line(text: str) -> None:
    """Merge keys are refused with the rest; a message never repeats what could break a line or a terminal."""
    assert parse(text, MfaPolicy)[1][0] == "line 1: a field needs a plain name"


@given(st.text() | st.text("abU:[]{}'\"#&*!-? \n\t|>%@`0~<\\F"))
def test_no_text_makes_the_reader_crash(text: str) -> None:
    """Every parser meets arbitrary input: it returns problems, one line each, and no policy."""
    policy, found = parse(text, MfaPolicy)
    assert policy is None
    assert found
    assert not any("\n" in problem for problem in found)


def test_what_cannot_be_read_is_a_plain_problem(folder: Path) -> None:
    """A wrong AUTHSVC_POLICIES_DIR never falls back to the defaults; nor does a file that is a folder or not text."""
    (folder / "mfa.yaml").unlink()
    (folder / "mfa.yaml").mkdir()
    (folder / "tokens.yaml").write_bytes(b"a: \xff")
    assert problems(folder) == ["mfa.yaml: cannot be read: is a directory", "tokens.yaml: is not UTF-8 text"]
    assert problems(folder / "no") == [f"{folder}/no: cannot be read: no such file or directory"]


def test_other_files_may_lie_beside_the_policies(folder: Path) -> None:
    """README.md, what an editor hides, and what a mounted ConfigMap brings are no policy files; mfa.yml is a slip."""
    (folder / "notes.txt").write_text("x")
    (folder / ".mfa.yaml").write_text("x")
    (folder / "..data").mkdir()
    load(folder)
    (folder / "mfa.yml").write_text("x")
    assert problems(folder) == [f"mfa.yml: is not a policy file; the files are {', '.join(FILES)}"]


def test_a_duration_is_a_number_and_a_unit() -> None:
    """The ways the files write a time."""
    seconds = {"30d": 2_592_000, "12h": 43_200, "10m": 600, "30s": 30, "0s": 0}
    assert {text: parse_duration(text).total_seconds() for text in seconds} == seconds


@given(st.integers(0, 9_999_999), st.sampled_from("dhms"))
def test_every_duration_survives_being_written_and_read(number: int, unit: str) -> None:
    """Reading is exact, and `format_duration` writes what reads back as the same time."""
    length = parse_duration(f"{number}{unit}")
    assert length == number * UNITS[unit]
    assert parse_duration(format_duration(length)) == length


@given(st.text() | st.from_regex(r"\s*[+-]?\d+\.?\d*\s*\w?\s*", fullmatch=True))
@example("٣s")
@example("10m\n")
@example("99999999d")
def test_nothing_else_is_a_duration(text: str) -> None:
    """ASCII digits, no sign, no space, no leading zero, one lower-case unit; the refusal shows how to write it."""
    if re.fullmatch("(?:0|[1-9][0-9]{0,6})[dhms]", text):
        parse_duration(text)
    else:
        with pytest.raises(ValueError, match="as in 30s, 10m, 12h or 30d"):
            parse_duration(text)


def test_a_rate_reads_as_it_is_written() -> None:
    """With and without a burst, and back."""
    assert parse_rate("10 per 15m") == Rate(10, timedelta(minutes=15))
    assert parse_rate("50 per 1s burst 100") == Rate(50, timedelta(seconds=1), 100)
    assert str(parse_rate("50 per 60s burst 100")) == "50 per 1m burst 100"
    for text in ("10", "10/15m", "10 per 0s", "10 per 31d", "ten per 1m", "10 per 1m burst", "10 per 1m "):
        with pytest.raises(ValueError, match="must"):
            parse_rate(text)


def test_limits_are_asked_for_by_name() -> None:
    """All rates of a limit hold together; a name that does not exist is a mistake in the code."""
    policies = load(None)
    assert policies.throttle.rates("code_per_user") == (
        Rate(5, timedelta(minutes=5)),
        Rate(20, timedelta(hours=1)),
        Rate(50, timedelta(hours=24)),
    )
    assert policies.throttle.rates("token_per_client") == (Rate(50, timedelta(seconds=1), 100),)
    assert set(get_args(LimitName)) == set(Limits.model_fields)
    with pytest.raises(UnknownPolicyName, match="no limit is called 'model_fields'"):
        policies.throttle.rates("model_fields")  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        policies.mfa.for_audience("robots")
    assert issubclass(UnknownPolicyName, AuthsvcError)


def test_nothing_read_can_be_changed() -> None:
    """Policies are the same for every request of a process."""
    policies = load(None)
    with pytest.raises(ValidationError):
        policies.mfa.code.tries = 99
    with pytest.raises(AttributeError):
        policies.mfa = policies.mfa  # type: ignore[misc]


def test_the_hash_follows_what_the_files_mean(folder: Path) -> None:
    """Comments, order and notation leave it; any value changes it."""
    before = load(folder)
    assert re.fullmatch("[0-9a-f]{64}", before.hash)
    assert before.short_hash == before.hash[:16]
    old, new = "authorization_code: 60s\naccess_token: 5m", "access_token: 300s\nauthorization_code: 1m"
    edit(folder, "tokens.yaml", old, new)
    assert load(folder).hash == before.hash
    edit(folder, "throttle.yaml", "50 per 24h", "51 per 24h")
    assert load(folder).hash != before.hash


@pytest.mark.parametrize(("file", "path", "field"), ALL_LEAVES, ids=[f"{file}:{path}" for file, path, _ in ALL_LEAVES])
def test_the_readme_tells_every_field_with_its_default_and_bounds(file: str, path: str, field: FieldInfo) -> None:
    """policies/README.md is where operators look; its rows are held against the schema and the shipped files."""
    section = (FOLDER / "README.md").read_text().split(f"\n## {file}\n")[1].split("\n## ")[0]
    rows = {cells[1].strip(" `"): cells[2:] for line in section.splitlines() if (cells := line.split("|"))[1:]}
    default, meaning, bounds = (cell.strip() for cell in rows[path][:3])
    assert default == written(file, path)
    assert meaning
    ends = [rule.ge if isinstance(rule, Ge) else rule.le for rule in field.metadata if isinstance(rule, Ge | Le)]
    said = " to ".join(format_duration(end) if isinstance(end, timedelta) else str(end) for end in ends)
    assert bounds
    assert re.match(rf"{said}\b", bounds)


def test_the_readme_tells_nothing_that_does_not_exist() -> None:
    """A field that is renamed or removed leaves no row behind."""
    told = re.findall(r"^\| `([^`]+)`", (FOLDER / "README.md").read_text(), re.M)
    assert sorted(told) == sorted(path for _, path, _ in ALL_LEAVES)


@pytest.mark.parametrize("arguments", [["--dir"], []])
def test_policy_check_says_that_all_is_well(folder: Path, arguments: list[str]) -> None:
    """Exit 0 and one line with the logged hash; without --dir the folder is the one the service would read."""
    given_dir = [*arguments, str(folder)] if arguments else []
    result = CliRunner().invoke(policy_group, ["check", *given_dir], env={"AUTHSVC_POLICIES_DIR": str(folder)})
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Policies are valid (hash {load(folder).short_hash}…): {len(FILES)} files in {folder}.\n"


def test_policy_check_lists_every_problem(folder: Path) -> None:
    """Exit 1, one problem a line on standard error."""
    edit(folder, "mfa.yaml", "tries: 5", "tries: 0")
    edit(folder, "tokens.yaml", "id_token: 5m", "id_token: 5")
    result = CliRunner().invoke(policy_group, ["check", "--dir", str(folder)])
    assert (result.exit_code, result.stdout) == (1, "")
    files = [line.split(":")[0] for line in result.stderr.splitlines()]
    assert files == [f"{folder}/mfa.yaml", f"{folder}/tokens.yaml"]


def test_policy_check_answers_machines(folder: Path) -> None:
    """One JSON object on standard output, valid or not; the exit status stays the same."""
    good = CliRunner().invoke(policy_group, ["check", "--json"], env={"AUTHSVC_POLICIES_DIR": ""})
    expected = {"valid": True, "hash": load(None).hash, "directory": "authsvc/default_policies", "problems": []}
    assert (good.exit_code, json.loads(good.stdout)) == (0, expected)
    edit(folder, "mfa.yaml", "tries: 5", "tries: 0")
    bad = CliRunner().invoke(policy_group, ["check", "--json", "--dir", str(folder)])
    answer = json.loads(bad.stdout)
    assert (bad.exit_code, bad.stderr, answer["valid"], answer["hash"]) == (1, "", False, None)
    assert answer["problems"] == [f"{folder}/mfa.yaml: code.tries: must be at least 1 (got 0)"]
