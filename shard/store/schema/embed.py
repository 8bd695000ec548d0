#!/usr/bin/env python3
"""embed.py OUT FILE...: the migrations as a C table, in the order of their numbers."""
import json
import pathlib
import re
import sys

rows = []
for name in sys.argv[2:]:
    path = pathlib.Path(name)
    number = re.match(r"(\d{3})_([a-z0-9_]+)\.sql$", path.name)
    if not number:
        sys.exit(f"{path.name}: a migration is called NNN_name.sql")
    rows.append((int(number[1]), path.name, path.read_text(encoding="utf-8")))
rows.sort()
if [row[0] for row in rows] != list(range(1, len(rows) + 1)):
    sys.exit("migrations are numbered 001, 002, ... without a gap")
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("/* Made from shard/store/schema by embed.py. */\n")
    out.write('#include "shard/store/migrations.h"\n\n')
    out.write("const struct migration migrations[] = {\n")
    for number, name, text in rows:
        lines = "\n".join("        " + json.dumps(line + "\n", ensure_ascii=True) for line in text.splitlines())
        out.write(f'    {{{number}, "{name}",\n{lines}}},\n')
    out.write(f"}};\nconst size_t n_migrations = {len(rows)};\n")
