"""`python -m bench.kit`: what verifying one access token costs a service, with the kit and with what it could use instead."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, cast

import jwt as pyjwt
from joserfc import jwt
from joserfc.jwk import ECKey

from authsvc.resource_server import Requirement
from authsvc.resource_server.testing import MockIssuer
from bench.processes import Cores, pinned
from bench.report import Spread

RESULTS = Path(__file__).with_name("results")
NODE_FOLDER = Path(__file__).parents[1] / "tests" / "interop" / "node"
READING = Requirement(scope="investors.read", acr="urn:ims:acr:two-step", mfa_within_s=3_600)
BARE = "joserfc"
TITLES = {
    BARE: "joserfc alone: decode, then iss, aud and exp",
    "pyjwt": "PyJWT: decode with issuer and audience",
    "jose": "npm jose: jwtVerify with issuer and audience",
    "first": "TokenVerifier, token seen first, with a Requirement",
    "again": "TokenVerifier, token seen before, with a Requirement",
}


@dataclass(frozen=True)
class Took:
    """One contestant's round: microseconds a token, of CPU and on the clock."""

    cpu_us: float
    wall_us: float


Contestant = Callable[[Sequence[str]], Took]


class ToolMissing(Exception):
    """node, or npm's jose, is not there."""


def timed(judge: Callable[[str], object]) -> Contestant:
    """A contestant of this process. CPU is that of all its threads."""

    def run(tokens: Sequence[str]) -> Took:
        began, before = time.perf_counter(), time.process_time()
        for token in tokens:
            judge(token)
        cpu_s, wall_s = time.process_time() - before, time.perf_counter() - began
        return Took(cpu_s * 1e6 / len(tokens), wall_s * 1e6 / len(tokens))

    return run


def of_python(issuer: MockIssuer, jwk: Mapping[str, Any]) -> dict[str, Contestant]:
    """joserfc, PyJWT and ours, each with its key imported beforehand."""
    key = ECKey.import_key(dict(jwk))
    claims = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer.issuer},
        aud={"essential": True, "value": issuer.audience},
        exp={"essential": True},
    )
    other_key = pyjwt.PyJWK(dict(jwk))
    verify = issuer.verifier()
    verify.prefetch()

    def bare(token: str) -> None:
        claims.validate(jwt.decode(token, key, algorithms=["ES256"]).claims)

    def with_pyjwt(token: str) -> None:
        pyjwt.decode(token, other_key, algorithms=["ES256"], audience=issuer.audience, issuer=issuer.issuer)

    def ours(token: str) -> None:
        verify(token, READING)

    # "again" comes after "first" in every round, so it meets tokens that were seen.
    return {BARE: timed(bare), "pyjwt": timed(with_pyjwt), "first": timed(ours), "again": timed(ours)}


@contextmanager
def of_node(issuer: MockIssuer, jwk: Mapping[str, Any]) -> Iterator[Contestant]:
    """npm's jose in a process that lives as long as the block. Raises: ToolMissing."""
    node = shutil.which("node")
    if node is None or not (NODE_FOLDER / "node_modules" / "jose").is_dir():
        raise ToolMissing("npm's jose is missing: `python -m tests.support.install` brings it.")
    facts = json.dumps({"jwk": dict(jwk), "issuer": issuer.issuer, "audience": issuer.audience})
    environment = {**os.environ, "BENCH_KIT": facts}
    command = [node, str(NODE_FOLDER / "speed.mjs")]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        to_node, from_node = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

        def run(tokens: Sequence[str]) -> Took:
            to_node.write(json.dumps({"tokens": list(tokens)}) + "\n")
            to_node.flush()
            took = json.loads(from_node.readline())
            return Took(took["cpu_us"] / len(tokens), took["wall_us"] / len(tokens))

        yield run
        to_node.close()


def measure(rounds: int, tokens: int, *, warm_up: int = 3) -> dict[str, list[Took]]:
    """Every contestant on the same new tokens, round after round, each round beginning with another one."""
    issuer = MockIssuer()
    jwk = json.loads(issuer.fetch(f"{issuer.issuer}/oauth/jwks")[0])["keys"][-1]
    with of_node(issuer, jwk) as jose:
        contestants = of_python(issuer, jwk) | {"jose": jose}
        orders = [[BARE, "pyjwt", "jose", "first", "again"], ["first", "again", "jose", "pyjwt", BARE]]
        found: dict[str, list[Took]] = {name: [] for name in TITLES}
        for number in range(warm_up + rounds):
            batch = [issuer.mint() for _ in range(tokens)]
            for name in orders[number % 2]:
                took = contestants[name](batch)
                if number >= warm_up:
                    found[name].append(took)
    return found


def table(found: Mapping[str, Sequence[Took]]) -> list[str]:
    """The rows in markdown. Raises: ValueError when there are no rounds."""
    lines = [
        "| verifying one ES256 access token | CPU µs | clock µs | of joserfc | per CPU-second |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, title in TITLES.items():
        cpu, wall = spread(took.cpu_us for took in found[name]), spread(took.wall_us for took in found[name])
        # Round by round: what disturbed one contestant of a round disturbed its neighbors too.
        share = spread(took.cpu_us / beside.cpu_us for took, beside in zip(found[name], found[BARE], strict=True))
        lines.append(f"| {title} | {cpu} | {wall} | {share.median:.0%} | {1e6 / cpu.median:,.0f} |")
    return lines


def spread(values: Iterable[float]) -> Spread:
    """Median and range. Raises: ValueError when there are no values."""
    made = Spread.of(values)
    if made is None:
        raise ValueError("no rounds")
    return made


def facts(rounds: int, tokens: int, cores: Cores) -> list[str]:
    """Where and how it was measured."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    lock = json.loads((NODE_FOLDER / "package-lock.json").read_text())
    libraries = ", ".join(f"{name} {version(name)}" for name in ("joserfc", "PyJWT", "cryptography"))
    return [
        f"- rounds: {rounds} of {tokens} new tokens each, after a warm-up, interleaved; medians with [lowest..highest]",
        "- keys are imported beforehand; the kit looks its key up by kid, and reads typ, every claim and a Requirement",
        f"- {libraries}, jose {lock['packages']['node_modules/jose']['version']}",
        f"- Python {platform.python_version()}, Node {node}; {os.cpu_count()} cores, all on core {cores.server}",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 2 for wrong usage or a missing tool."""
    parser = argparse.ArgumentParser("python -m bench.kit", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="measured rounds (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=500, metavar="N", help="tokens a round (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="keep the result in bench/results/")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or not 1 <= options.tokens <= 4_000:
        parser.error("at least one round, of 1 to 4000 tokens: more would not stay in the kit's memory")
    cores = Cores.of_this_machine()
    try:
        with pinned(cores.server):
            found = measure(options.rounds, options.tokens)
    except ToolMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    today = datetime.now(UTC).date().isoformat()
    page = [f"# The kit beside what a service could use instead, {today}", "", *table(found), ""]
    page += facts(options.rounds, options.tokens, cores)
    print("\n".join(page))
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{today}-kit.md").write_text("\n".join(page) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
