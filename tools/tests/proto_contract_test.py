#!/usr/bin/env python3
"""proto-contract: each change that breaks a reader is refused by name, each addition passes.

usage: proto_contract_test.py PROTO_CONTRACT PROTOC
"""
import os
import subprocess
import sys
import tempfile

RELEASED = """syntax = "proto3";
package shop.v1;
enum Side { SIDE_UNSPECIFIED = 0; SIDE_BUY = 1; SIDE_SELL = 2; }
message Line { string sku = 1; }
message Order {
  enum State { STATE_UNSPECIFIED = 0; STATE_OPEN = 1; }
  int64 id = 1;
  string note = 2;
  Side side = 3;
  repeated Line lines = 4;
  oneof until { int64 at_us = 5; bool day = 6; }
}
"""

CASES = [  # sentence, what is replaced, by what, the fact that is missed ("": passes)
    ("nothing changes", "", "", ""),
    ("a field is added", "string note = 2;", "string note = 2; bytes digest = 7;", ""),
    ("a message is added", "message Line", "message Shipped { int64 id = 1; } message Line", ""),
    ("an enum value is added", "SIDE_SELL = 2;", "SIDE_SELL = 2; SIDE_SHORT = 3;", ""),
    ("a oneof gets another member", "bool day = 6;", "bool day = 6; bool week = 8;", ""),
    ("fields change places in the file", "int64 id = 1;\n  string note = 2;", "string note = 2;\n  int64 id = 1;", ""),
    ("a field is removed", "string note = 2;", "", "field shop.v1.Order 2 note string"),
    ("a field is removed and its number reserved", "string note = 2;", "reserved 2;", "field shop.v1.Order 2 note string"),
    ("a field is renumbered", "string note = 2;", "string note = 9;", "field shop.v1.Order 2 note string"),
    ("a field is retyped", "string note = 2;", "bytes note = 2;", "field shop.v1.Order 2 note string"),
    ("a field is renamed", "string note = 2;", "string remark = 2;", "field shop.v1.Order 2 note string"),
    ("a field becomes repeated", "string note = 2;", "repeated string note = 2;", "field shop.v1.Order 2 note string"),
    ("a field leaves its oneof", "oneof until { int64 at_us = 5; bool day = 6; }", "int64 at_us = 5; oneof until { bool day = 6; }",
     "field shop.v1.Order 5 at_us int64 oneof until"),
    ("a number is given to another field", "int64 id = 1;\n  string note = 2;", "int64 id = 2;\n  string note = 1;",
     "field shop.v1.Order 1 id int64"),
    ("an enum value is removed", "SIDE_SELL = 2;", "", "value shop.v1.Side 2 SIDE_SELL"),
    ("an enum value is renumbered", "SIDE_SELL = 2;", "SIDE_SELL = 3;", "value shop.v1.Side 2 SIDE_SELL"),
    ("a nested enum value is removed", "STATE_OPEN = 1;", "", "value shop.v1.Order.State 1 STATE_OPEN"),
    ("a message is split off, the old one kept", "message Line {", "message Item { string sku = 1; } message Line {", ""),
    ("a message is gone", "message Order {", "message Purchase {", "message shop.v1.Order"),
    ("the package is renamed", "package shop.v1;", "package shop.v2;", "message shop.v1.Line"),
]


def describe(protoc, folder, proto):
    path = os.path.join(folder, "shop.proto")
    with open(path, "w", encoding="utf-8") as file:
        file.write(proto)
    out = path + ".set"
    subprocess.run([protoc, f"--proto_path={folder}", f"--descriptor_set_out={out}", path], check=True)
    return out


def run(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main(tool, protoc):
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        released = os.path.join(folder, "released.txt")
        with open(released, "w", encoding="utf-8") as file:
            file.write("# comment\n" + run(tool, "list", describe(protoc, folder, RELEASED))[1])
        for sentence, before, after, missed in CASES:
            assert before in RELEASED, before
            changed = describe(protoc, folder, RELEASED.replace(before, after, 1))
            status, output = run(tool, "check", released, changed)
            good = status == 1 and f"gone or changed: {missed}\n" in output if missed else status == 0 and output == ""
            print("ok  " if good else "FAIL", sentence)
            if not good:
                print(output)
            failures += not good
        open(released, "w", encoding="utf-8").close()
        failures += run(tool, "check", released, changed)[0] == 0
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
