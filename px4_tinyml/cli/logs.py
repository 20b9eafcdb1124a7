"""px4-tinyml logs: list and download the logs on a vehicle."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from px4_tinyml.errors import LinkError, SpecError

if TYPE_CHECKING:
    from px4_tinyml.link.log_download import LogClient, LogEntry

log = logging.getLogger(__name__)


def add_parser(subparsers: Any) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "logs",
        help="list and download the logs on a vehicle",
        description="List the logs on a vehicle's card, or download them over MAVLink. A download that was cut short "
        "goes on where it stopped when it is run again.",
        epilog="URL: udpin:0.0.0.0:14540, udpout:HOST:PORT, tcp:HOST:PORT, tcpin:HOST:PORT, serial:/dev/ttyACM0:57600",
    )
    actions = parser.add_subparsers(dest="action", metavar="list|get", required=True)
    listing = actions.add_parser("list", help="what is there")
    get = actions.add_parser("get", help="download")
    for action in (listing, get):
        action.add_argument("url", metavar="URL", help="where the vehicle is")
        action.add_argument("--system", type=int, metavar="N", help="the vehicle with this system id")
        action.add_argument("--signing-key", type=Path, metavar="FILE", help="MAVLink 2 signing")
        action.add_argument("--json", action="store_true", help="the result as JSON")
    which = get.add_mutually_exclusive_group(required=True)
    which.add_argument("numbers", type=int, nargs="*", default=[], metavar="ID", help="numbers from `logs list`")
    which.add_argument("--last", action="store_true", help="the newest")
    which.add_argument("--all", action="store_true", help="all of them")
    get.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to put them in")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List or download."""
    from px4_tinyml.link.connection import Link
    from px4_tinyml.link.log_download import LogClient
    from px4_tinyml.link.vehicle import choose
    from px4_tinyml.mavlink.signing import SigningKey

    key = SigningKey.read(args.signing_key) if args.signing_key else None
    with Link(args.url, signing=key) as link:
        client = LogClient(link, choose(link, args.system))
        entries = client.list()
        if args.action == "list":
            _show(entries, args.json)
            return 0
        results = [_fetch(client, entry, args.out) for entry in _chosen(entries, args)]
    if args.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    else:
        for result in results:
            print(result["file"])
    return 0


def _show(entries: list[LogEntry], as_json: bool) -> None:
    if as_json:
        print(json.dumps([_facts(entry) for entry in entries], indent=2))
        return
    if not entries:
        log.info("no logs on the vehicle")
    for entry in entries:
        print(f"{entry.number:5d}  {_facts(entry)['time_utc'] or 'time unknown':20s}  {entry.size / 1e6:9.3f} MB")


def _facts(entry: LogEntry) -> dict[str, Any]:
    known = entry.time_utc >= 10**8
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.time_utc)) if known else None
    return {"id": entry.number, "time_utc": when, "bytes": entry.size}


def _chosen(entries: list[LogEntry], args: argparse.Namespace) -> list[LogEntry]:
    """Those asked for, oldest first; empty ones only when named."""
    if args.numbers:
        by_number = {entry.number: entry for entry in entries}
        unknown = [str(number) for number in args.numbers if number not in by_number]
        if unknown:
            there = ", ".join(map(str, sorted(by_number))) or "none"
            raise SpecError(f"no log {', '.join(unknown)} on the vehicle; there is: {there}")
        return [by_number[number] for number in args.numbers]
    full = [entry for entry in entries if entry.size]
    if not full:
        raise LinkError("there is no log on the vehicle yet: PX4 writes one from arming to disarming")
    return full[-1:] if args.last else full


def _fetch(client: LogClient, entry: LogEntry, folder: Path) -> dict[str, Any]:
    """Download one, with a bar; its facts."""
    began = time.monotonic()
    with tqdm(
        total=entry.size,
        desc=f"log {entry.number}",
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        disable=None,
        leave=False,
    ) as bar:
        path = client.download(entry, folder / entry.stem, lambda done: bar.update(done - bar.n))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    seconds = time.monotonic() - began
    log.info("%s: %d bytes in %.1f s, sha256 %s", path, entry.size, seconds, digest)
    return {**_facts(entry), "file": str(path), "sha256": digest, "seconds": round(seconds, 2)}
