"""`/api/v1/audit`: finding, reading, checking and exporting records.

A reviewer reads decisions, verdicts and policies, an operator also rollouts and drift, an admin
everything. Who reads a text that is kept leaves a record.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import JsonValue

from sparsepath.audit.anchor import read_anchors
from sparsepath.audit.clock import now, read_time
from sparsepath.audit.export import exported_lines
from sparsepath.audit.period import chain_figures, figures, read_period
from sparsepath.audit.period_page import period_page
from sparsepath.audit.record import Draft, Record
from sparsepath.audit.search import Query as Asked
from sparsepath.audit.search import Whole, find_record, search
from sparsepath.audit.verify import Verification, verify
from sparsepath.config import Language
from sparsepath.server.auth import Principal, asker
from sparsepath.server.classify import ReceiptOut
from sparsepath.server.problems import AsciiJson, Problem
from sparsepath.server.records_schema import (
    READABLE,
    Brought,
    Filters,
    RecordOut,
    Records,
    ReplayOut,
    WholeRecord,
    hidden,
)
from sparsepath.server.replay import compared, text_of
from sparsepath.server.service import Served, Service

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])

Reviewer = Annotated[Principal, Depends(asker("reviewer"))]
Admin = Annotated[Principal, Depends(asker("admin"))]
Seq = Annotated[int, Path(ge=1, lt=2**63, description="Number of a record.")]


@router.get("")
async def find_records(
    service: Served, who: Reviewer, asked: Annotated[Filters, Query()]
) -> Records:
    """Find records, the newest first."""
    query, before, limit = asked.query(who), asked.before, asked.limit
    page = await asyncio.to_thread(search, service.database, query, before=before, limit=limit)
    return Records(records=[_out(record) for record in page.records], next=page.next)


@router.get("/verify")
async def verify_chain(service: Served, _who: Admin) -> dict[str, Any]:
    """Look through the whole log; with the server's anchor file, if it has one."""
    return chain_figures(await service.alone(lambda: _verified(service)))


@router.get("/export", response_class=StreamingResponse)
async def export_records(
    service: Served,
    who: Admin,
    first: Annotated[int, Query(ge=1, lt=2**63)] = 1,
    last: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    with_texts: Annotated[bool, Query(description="Also the texts that are kept.")] = False,
) -> StreamingResponse:
    """Send records as lines of JSON, the oldest first."""
    if with_texts:
        facts: dict[str, JsonValue] = {"first": first, "last": last, "by": who.name}
        await service.journal.write([Draft(kind="text.read", body=facts)])
    lines = exported_lines(service.database, first=first, last=last, with_texts=with_texts)
    headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(_chunks(lines), media_type="application/x-ndjson", headers=headers)


@router.get("/report", response_class=Response)
async def report_period(
    service: Served,
    _who: Admin,
    since: Annotated[str, Query(alias="from", max_length=40, description="Day or moment; UTC.")],
    until: Annotated[str | None, Query(alias="to", max_length=40)] = None,
    lang: Language = "en",
    form: Annotated[Literal["html", "md", "json"], Query(alias="format")] = "html",
    is_verified: Annotated[
        bool, Query(alias="verify", description="Also look through the whole chain.")
    ] = True,
) -> Response:
    """Report what happened in a span of time, as a page, Markdown or figures."""
    begin, end = read_time(since), now() if until is None else read_time(until)
    Asked(since=begin, until=end)
    period = await service.alone(
        lambda: read_period(service.database, begin, end, is_verified=is_verified)
    )
    if form == "json":
        return AsciiJson(figures(period))
    page = period_page(period, service.database.name, lang=lang, form=form)
    kind = "text/html" if form == "html" else "text/markdown"
    style = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(page, media_type=f"{kind}; charset=utf-8", headers=style)


@router.get("/{seq}")
async def read_record(
    service: Served,
    who: Reviewer,
    seq: Seq,
    with_texts: Annotated[bool, Query(description="Also the texts that are kept.")] = True,
) -> WholeRecord:
    """Give one record with its texts, where they are kept."""
    whole = await _found(service, who, seq)
    roles = [text.role for text in whole.texts if text.text]
    kept: dict[str, str] = {}
    if roles and with_texts:
        kept = {text.role: json.loads(text.text) for text in whole.texts if text.text}
        facts: dict[str, JsonValue] = {"first": seq, "last": seq, "by": who.name}
        await service.journal.write([Draft(kind="text.read", body=facts)])
    return WholeRecord(**_out(whole.record).model_dump(), kept=kept, has_texts=roles)


@router.post("/{seq}/replay")
async def replay_decision(service: Served, who: Reviewer, seq: Seq, brought: Brought) -> ReplayOut:
    """Ask the model that is served for a decision once more, and compare."""
    model = service.classifier
    whole = await _found(service, who, seq)
    (answer,) = await service.batcher.ask([text_of(whole, brought.text)])
    found = compared(whole, model, answer)
    told = found._asdict() | {"then": found.then._asdict(), "now": found.now._asdict()}
    draft = Draft(kind="decision.replay", body={"by": who.name, "replay": told})
    (receipt,) = await service.journal.write([draft])
    return ReplayOut(**told, record=ReceiptOut(seq=receipt.seq, hash=receipt.hash))


async def _found(service: Service, who: Principal, seq: int) -> Whole:
    """Read a record that someone may read."""
    whole = await asyncio.to_thread(find_record, service.database, seq)
    if whole is None:
        raise Problem(404, "no_record", f"no record {seq}", fix="see /api/v1/audit")
    if who.role != "admin" and whole.record.kind not in READABLE[who.role]:
        raise hidden(who)
    return whole


def _verified(service: Service) -> Verification:
    anchor = service.options.anchor
    return verify(service.database, [] if anchor is None else read_anchors(anchor))


def _chunks(lines: Iterator[str]) -> Iterator[bytes]:
    """Put lines together, some at a time."""
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) == 500:
            yield ("\n".join(held) + "\n").encode()
            held.clear()
    if held:
        yield ("\n".join(held) + "\n").encode()


def _out(record: Record) -> RecordOut:
    return RecordOut(**(record._asdict() | {"body": json.loads(record.body)}))
