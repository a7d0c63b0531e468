"""The key ring on disk: rights, seals, whole files, writers at the same moment."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import resource
import signal
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from joserfc import jwt

from authsvc.crypto.seal import Sealer
from authsvc.errors import ConfigurationError
from authsvc.keyring import jwks
from authsvc.keyring.folder import KeyUnreadable, RingFolder, RingNotWritable
from authsvc.keyring.ring import KeyRing
from authsvc.keyring.schedule import NOTICED_WITHIN, Algorithm, KeyState, RotationUnsafe, active, state
from tests.support.key_ring import OTHER_SECRET, RULES, SECRET, SMALL_RSA_BITS, Home

RUN = multiprocessing.get_context("fork")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty place."""
    return Home(tmp_path / "keys")


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def in_a_process(work: Callable[[], None]) -> int | None:
    """The exit status of a forked process that does `work`."""
    process = RUN.Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


def test_files_are_for_their_owner_only(home: Home) -> None:
    """0700 and 0600, whatever the umask and whatever the folder was before."""
    home.path.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        home.with_es256()
    finally:
        os.umask(before)
    assert mode(home.path) == 0o700
    assert {file.name: mode(file) for file in home.path.iterdir()} == {
        ".lock": 0o600,
        "ring.yaml": 0o600,
        home.key_file().name: 0o600,
    }


def test_private_keys_are_sealed_and_bound_to_their_name(home: Home) -> None:
    """A copy of the folder is no key, and one sealed file cannot stand in for another."""
    ring = home.with_es256()
    sealed = home.key_file().read_text()
    kid = ring.active("ES256").kid
    assert kid in home.key_file().name
    private = json.loads(Sealer([SECRET], "keyring").open(sealed, where=f"keyring/{kid}"))
    assert private["d"] == ring.active("ES256").key.as_dict(private=True)["d"]
    ring.rotate("ES256", rules=RULES)
    for file in home.path.glob("*.sealed"):
        file.write_text(sealed)
    with pytest.raises(KeyUnreadable):
        home.open()


def test_another_key_under_a_known_name_is_refused() -> None:
    """The thumbprint is checked after opening too (a restored file of another ring)."""
    (kid, _), (_, other) = (jwks.generate(Algorithm.ES256, rsa_bits=SMALL_RSA_BITS) for _ in range(2))
    with pytest.raises(ValueError, match="its name promises"):
        jwks.import_private(other, kid=kid, algorithm=Algorithm.ES256)


def test_a_public_key_is_no_signing_key() -> None:
    """A file without the private part fails at start, not at the first token."""
    kid, private = jwks.generate(Algorithm.ES256, rsa_bits=SMALL_RSA_BITS)
    public = json.dumps(jwks.public_jwk(jwks.import_private(private, kid=kid, algorithm=Algorithm.ES256)))
    with pytest.raises(ValueError, match="its name promises"):
        jwks.import_private(public.encode(), kid=kid, algorithm=Algorithm.ES256)


def test_a_new_secret_in_front_opens_old_keys_and_seals_new_ones(home: Home) -> None:
    """AUTHSVC_SECRET is a list: the first seals, all open."""
    home.with_es256()
    first = home.key_file()
    ring = home.open(OTHER_SECRET, SECRET)
    ring.rotate("ES256", rules=RULES)
    [second] = set(home.path.glob("*.sealed")) - {first}
    kid = ring.entries()[1].kid
    assert Sealer([OTHER_SECRET], "keyring").open(second.read_text(), where=f"keyring/{kid}")
    with pytest.raises(KeyUnreadable):
        home.open(OTHER_SECRET)


def test_only_a_folder_is_a_home() -> None:
    """An address this release does not know is a mistake in the settings."""
    for url in ("sql:", "kms:arn", "dir:", "keys"):
        with pytest.raises(ConfigurationError, match="dir:PATH"):
            RingFolder(url)


def test_a_reader_never_sees_half_a_document(home: Home) -> None:
    """Files are replaced whole, so reading needs no lock."""
    ring = home.with_es256()
    entries, folder, finished = ring.entries(), RingFolder(home.url), threading.Event()

    def read() -> int:
        reads = 0
        while not finished.is_set():
            assert folder.load() in (entries, ())
            reads += 1
        return reads

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            for number in range(20):
                folder.save(entries if number % 2 else (), {})
        finally:
            finished.set()
        assert reading.result() > 0


def test_a_full_disk_leaves_the_old_ring(home: Home) -> None:
    """The document is written last and replaced whole."""
    ring = home.with_es256()
    before = ring.entries()

    def rotate() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))  # enough for a sealed key, too little for the document
        try:
            home.open().rotate("ES256", rules=RULES)
        except RingNotWritable:
            os._exit(7)

    assert in_a_process(rotate) == 7
    assert home.open().entries() == before
    assert not list(home.path.glob("*.tmp"))
    home.clock.advance(NOTICED_WITHIN)
    assert ring.problem is None
    assert ring.rotate("ES256", rules=RULES)


FILE_EVENTS = frozenset({"open", "os.chmod", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.scandir"})


def die_before_file_event(number: int) -> None:
    """kill -9 to this process in the moment before it touches a file for the `number`th time."""
    seen = itertools.count()

    def hook(event: str, _arguments: object) -> None:
        if event in FILE_EVENTS and next(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


@pytest.mark.parametrize("keys_before", [0, 1])
def test_a_writer_that_is_killed_leaves_a_whole_ring(tmp_path: Path, keys_before: int) -> None:
    """kill -9 before any step of a first start or a rotation: the ring opens as it was or as it should be."""
    for number in itertools.count():
        home = Home(tmp_path / str(number))
        if keys_before:
            home.with_es256()

        def rotate(home: Home = home, number: int = number) -> None:
            ring = home.open()
            die_before_file_event(number)
            ring.rotate("ES256", rules=RULES)
            os._exit(0)

        exit_code = in_a_process(rotate)
        ring = home.open()
        assert len(ring.entries()) in (keys_before, keys_before + 1)
        if exit_code == 0:
            break
        assert exit_code == -signal.SIGKILL
        home.clock.advance(RULES.publish_ahead)
        ring.rotate("ES256", rules=RULES)
        token = jwt.encode({"alg": "ES256"}, {"sub": "u"}, ring.active_as_key_set("ES256"))
        jwt.decode(token, home.open().verification_key_set(), algorithms=["ES256"])
    assert number > 10


# Writers at the same moment


def rotate_or_refuse(home: Home, ring: KeyRing) -> bool:
    """Whether this one of many rotated."""
    try:
        ring.rotate("ES256", rules=RULES)
    except RotationUnsafe:
        return False
    return True


@pytest.mark.parametrize("keys_before", [0, 1])
def test_of_twenty_threads_that_rotate_at_once_one_does(home: Home, keys_before: int) -> None:
    """Two replicas rotate: one decision, one schedule, never two active keys; security.md 4.4. On an empty ring too."""
    if keys_before:
        home.with_es256()
    rings = [home.open() for _ in range(20)]
    together = threading.Barrier(len(rings))

    def work(ring: KeyRing) -> bool:
        together.wait(30)
        return rotate_or_refuse(home, ring)

    with ThreadPoolExecutor(len(rings)) as pool:
        assert sum(pool.map(work, rings)) == 1
    assert_one_schedule(home, keys=keys_before + 1)
    home.clock.advance(NOTICED_WITHIN)
    assert len({(ring.version, ring.active("ES256").kid) for ring in rings}) == 1


def test_of_twenty_processes_that_rotate_at_once_one_does(home: Home) -> None:
    """The lock holds between processes."""
    home.with_es256()
    together = RUN.Barrier(20)

    def work() -> None:
        ring = home.open()
        together.wait(60)
        os._exit(10 if rotate_or_refuse(home, ring) else 11)

    processes = [RUN.Process(target=work) for _ in range(20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(str(process.exitcode) for process in processes) == ["10"] + ["11"] * 19
    assert_one_schedule(home, keys=2)


def test_of_several_first_starts_one_makes_the_keys(home: Home) -> None:
    """Web workers of a fresh clone start together and sign with the same key."""
    rings = [home.open() for _ in range(6)]
    with ThreadPoolExecutor(len(rings)) as pool:
        made = list(pool.map(lambda ring: len(ring.create_first_keys(rsa_bits=SMALL_RSA_BITS)), rings))
    assert sorted(made) == [0] * 5 + [2]
    assert len({ring.active("ES256").kid for ring in rings}) == 1


def assert_one_schedule(home: Home, *, keys: int) -> None:
    """`keys` keys, each with its file, and exactly one that signs at any instant from now on."""
    entries = RingFolder(home.url).load()
    assert len(entries) == keys
    assert {entry.private for entry in entries} == {file.name for file in home.path.glob("*.sealed")}
    for ahead in (timedelta(0), RULES.publish_ahead - timedelta(seconds=1), RULES.publish_ahead, timedelta(days=9000)):
        at = home.clock.now() + ahead
        assert [entry for entry in entries if state(entry, at) is KeyState.ACTIVE] == [active(entries, "ES256", at)]
