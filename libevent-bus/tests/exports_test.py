#!/usr/bin/env python3
"""The shared library exports what its headers declare with EB_API, and nothing else.

usage: exports_test.py LIBRARY FOLDER_OF_HEADERS…   or   exports_test.py --declared FOLDER_OF_HEADERS…  (prints the names)
"""
import glob
import os
import re
import subprocess
import sys

DECLARATION = re.compile(r"\bEB_API\b([^;{]*)")
NAME = re.compile(r"\b([a-z]\w*)\s*\(")


def declared(folders):
    names = set()
    for folder in folders:
        for path in glob.glob(os.path.join(folder, "*.h")):
            with open(path, encoding="utf-8") as file:
                text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
            text = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
            names |= {NAME.search(rest).group(1) for rest in DECLARATION.findall(text)}
    return names


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.split("\n")
    return {line.split()[2] for line in lines if line}


def main(arguments):
    if arguments[0] == "--declared":
        print("\n".join(sorted(declared(arguments[1:]))))
        return 0
    promised, given = declared(arguments[1:]), exported(arguments[0])
    given = {name for name in given if not name.startswith(("__asan", "__ubsan", "__odr_asan", "__sanitizer"))}
    for name in sorted(promised - given):
        print(f"declared with EB_API, and not exported: {name}")
    for name in sorted(given - promised):
        print(f"exported, and not declared with EB_API: {name}")
    return 0 if promised and promised == given else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
