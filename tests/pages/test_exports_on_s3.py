"""The life of an export with PostgreSQL and S3, as replicas have it: asked for, ready, downloaded, deleted; and S3 away."""

from __future__ import annotations

import hashlib

from tests.support.api import Machine
from tests.support.export_pages import EXPORTS, ask, file_of, hand_over, holder, newest, sweep
from tests.support.exports import OnS3
from tests.support.service import DANA


def test_d22_an_export_lives_in_s3_and_dies_there(on_s3: OnS3) -> None:
    """Sealed in the bucket while it is ready, and nowhere else; after seven days the bucket is empty and the row stays."""
    service = on_s3.service
    _, _, dana = holder(service)
    ask(dana)
    assert "Processing" in dana.open(EXPORTS).text
    service.deliver()
    [(name, sealed)] = on_s3.objects().items()
    export = newest(service)
    assert name == f"sealed/{export.file_id}"
    assert DANA.encode() not in sealed
    got = dana.open(file_of(export)).response
    assert DANA in got.text
    assert (got.mimetype, got.headers["X-Content-Type-Options"]) == ("text/csv", "nosniff")
    assert "Download again" in dana.open(EXPORTS).links
    service.pass_time(days=7, seconds=1)
    sweep(service)
    assert on_s3.objects() == {}
    service.sign_in(dana)
    assert "Expired" in dana.open(EXPORTS).text
    assert newest(service).sealed_key == ""


def test_a_file_of_several_parts_is_handed_over_to_s3(on_s3: OnS3) -> None:
    """20 MB through the API and out again; a part that was changed in the bucket is never given as if it were whole."""
    service, content = on_s3.service, b"Name,Tax ID\r\n" + b"River Street LLC,00-0000000\r\n" * 700_000
    account, membership, dana = holder(service)
    crm = Machine.on(service, "crm", scope="exports.write", accounts=[account.slug])
    said = crm.post(
        "/exports",
        201,
        account=account.slug,
        person=membership.user_id,
        name="Investor contacts and tax IDs",
        media_type="text/csv",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    sent = crm.call("PUT", f"/exports/{said['id']}/file", data=content, content_type="text/csv")
    assert (sent.json or {})["status"] == "ready"
    export = newest(service)
    assert dana.open(file_of(export)).response.data == content
    [sealed] = on_s3.objects().values()
    on_s3.replace(f"sealed/{export.file_id}", b"x" + sealed[1:])
    assert dana.open(file_of(export)).path == f"{EXPORTS}?gone={export.id}"
    assert newest(service).status == "expired"


def test_an_s3_that_is_away_is_said_truly_and_used_again_when_it_is_back(on_s3: OnS3) -> None:
    """Building waits and shows "Processing"; a download says to try again and ends nothing; the file is still there later."""
    service = on_s3.service
    _, membership, dana = holder(service)
    ready = hand_over(service, membership)
    on_s3.gate.refuses = True
    page = dana.open(file_of(ready))
    assert page.status == 503
    assert "Retry-After" in page.response.headers
    ask(dana)
    service.deliver()
    text = dana.open(EXPORTS).text
    assert ("Processing" in text, "Ready" in text, "Failed" in text) == (True, True, False)
    on_s3.gate.refuses = False
    service.pass_time(minutes=5)
    service.deliver()
    assert "Processing" not in dana.open(EXPORTS).text
    for export in (ready, newest(service)):
        assert dana.open(file_of(export)).response.mimetype == "text/csv"
    assert len(on_s3.objects()) == 2


def test_deleting_waits_for_s3_and_the_file_cannot_be_read_meanwhile(on_s3: OnS3) -> None:
    """Expired is expired: the key is gone with the status, and the object goes when the bucket can be reached again."""
    service = on_s3.service
    _, membership, dana = holder(service)
    export = hand_over(service, membership)
    service.pass_time(days=7, seconds=1)
    on_s3.gate.refuses = True
    sweep(service)
    service.sign_in(dana)
    assert dana.open(file_of(export)).path.startswith(EXPORTS)
    assert newest(service).sealed_key == ""
    on_s3.gate.refuses = False
    assert len(on_s3.objects()) == 1
    service.pass_time(minutes=31)
    sweep(service)
    assert on_s3.objects() == {}
