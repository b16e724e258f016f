"""Writes a text file as a C string: embed_text.py SOURCE HEADER SYMBOL."""

from __future__ import annotations

import sys
from pathlib import Path


def c_literal(line: bytes) -> str:
    """Quotes one line; octal escapes end after three digits, hex ones do not."""
    text = ""

    for byte in line:
        char = chr(byte)

        if char in '"\\':
            text += "\\" + char
        elif 0x20 <= byte < 0x7F:
            text += char
        else:
            text += f"\\{byte:03o}"

    return f'"{text}"'


def main() -> None:
    source, header, symbol = sys.argv[1:]

    lines = Path(source).read_bytes().splitlines(keepends=True)
    body = "\n".join(f"    {c_literal(line)}" for line in lines)

    Path(header).write_text(f"static const char  {symbol}[] =\n{body};\n")


if __name__ == "__main__":
    main()
