"""Writes the tables of docs/serving.md from docs/data/serving.json, which comes from
`hrm-rl benchmark --only serving --json-file docs/data/serving.json`: `python docs/render_serving.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BEGIN, END = "<!-- tables of docs/render_serving.py -->", "<!-- end of tables -->"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(shown, line)) + " |" for line in lines)


def shown(value: Any) -> str:
    """A number with three digits or all that are before the point."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def tables(found: dict[str, Any]) -> str:
    """All of them."""
    load = [
        [
            row["server"],
            row["clients"],
            row["puzzles_per_s"],
            f"{shown(row['answer_p50_ms'])} / {shown(row['answer_p99_ms'])}",
            row["cpu_ms_per_puzzle"],
            row.get("streams_per_s", ""),
            f"{shown(row['first_p50_ms'])} / {shown(row['first_p99_ms'])}" if "first_p50_ms" in row else "",
            f"{shown(row['stream_p50_ms'])} / {shown(row['stream_p99_ms'])}" if "first_p50_ms" in row else "",
        ]
        for row in found["load"]
    ]
    head = ["`" + found["model"] + "`", "clients", "puzzles/s", "answer p50 / p99, ms", "CPU ms a puzzle"]
    head += ["streams/s", "first segment p50 / p99, ms", "end p50 / p99, ms"]
    many = found["load"][-1]["clients"]
    gains = []
    for row in found["gains"]:
        cpu = row["cpu_ms_one"], row[f"cpu_ms_{many}"]
        paces = row["one_client"], row[f"{many}_clients"], row["gain"]
        gains.append([row["model"], row["mode"], *paces, *cpu, cpu[0] / cpu[1]])
    titles = ["model", "mode", "1 client, puzzles/s", f"{many} clients, puzzles/s", "gain"]
    titles += ["CPU ms a puzzle, 1 client", f"CPU ms, {many} clients", "gain in CPU"]
    memory = [[f"{row['requests']:,}", row["mb"]] for row in found["memory"]]
    ready = [[kind, seconds] for kind, seconds in found["ready_s"].items()]
    return "\n\n".join(
        [
            table(head, load),
            table(titles, gains),
            table(["requests", "memory of the server, MB"], [memory[0], memory[4], memory[-1]]),
            table(["", "seconds from the command to the first answer"], ready),
        ]
    )


def main() -> None:
    """Put the tables in the place of those that are there."""
    page = HERE / "serving.md"
    found = json.loads((HERE / "data" / "serving.json").read_text())["serving"]
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{tables(found)}\n\n{END}{after}")


if __name__ == "__main__":
    main()
