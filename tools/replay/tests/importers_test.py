#!/usr/bin/env python3
"""importers_test.py ITCH-IMPORT LOBSTER-IMPORT ENGINE-REPLAY -- small recordings, written here byte by byte from the formats'
public descriptions, must give steps that the engine carries out as recorded; a recording that lies must be found out."""
import os
import struct
import subprocess
import sys
import tempfile

itch_import, lobster_import, engine_replay = sys.argv[1:4]
folder = tempfile.mkdtemp(prefix='importers-')
failures = 0


def check(what, holds, detail=''):
    global failures
    print('ok' if holds else 'FAILED', what)
    if not holds:
        failures += 1
        print(detail)


def run(*command, stdin=None):
    done = subprocess.run(command, capture_output=True, text=True, stdin=stdin)
    return done.returncode, done.stdout, done.stderr


def write(name, data):
    path = os.path.join(folder, name)
    with open(path, 'wb') as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def replay(steps):
    code, out, err = run(engine_replay, '--book', write('steps', steps))
    return code, dict(line.split(' ', 1) for line in out.splitlines() if ' ' in line), out, err


# ---- ITCH 5.0 ----

OURS, OTHER = 7, 8


def message(kind, body, locate=OURS, at_ns=34_200_000_000_000):
    whole = kind.encode() + struct.pack('>HH', locate, 0) + at_ns.to_bytes(6, 'big') + body
    return struct.pack('>H', len(whole)) + whole


def stock(symbol):
    return symbol.ljust(8).encode()


def directory(symbol, locate):
    return message('R', stock(symbol) + b'QN' + struct.pack('>I', 100) + b'NC' + b'Z ' + b'PN' + b'N1N' +
                   struct.pack('>I', 0) + b'N', locate)


def add(reference, side, shares, price, symbol='PENS', locate=OURS, mpid=None):
    body = struct.pack('>Q', reference) + side.encode() + struct.pack('>I', shares) + stock(symbol) + struct.pack('>I', price)
    return message('F' if mpid else 'A', body + (mpid.encode() if mpid else b''), locate)


def executed(reference, shares, match=1):
    return message('E', struct.pack('>QIQ', reference, shares, match))


def executed_at(reference, shares, price, match=1):
    return message('C', struct.pack('>QIQ', reference, shares, match) + b'Y' + struct.pack('>I', price))


def cancelled(reference, shares):
    return message('X', struct.pack('>QI', reference, shares))


def deleted(reference):
    return message('D', struct.pack('>Q', reference))


def replaced(reference, new, shares, price):
    return message('U', struct.pack('>QQII', reference, new, shares, price))


NOISE = [
    message('S', b'O', 0), message('H', stock('PENS') + b'T ' + b'    '), message('Y', stock('PENS') + b'0'),
    message('L', b'MPID' + stock('PENS') + b'YNA'), message('V', struct.pack('>QQQ', 1, 2, 3), 0), message('W', b'1', 0),
    message('K', stock('PENS') + struct.pack('>I', 1) + b'A' + struct.pack('>I', 2)),
    message('J', stock('PENS') + struct.pack('>IIII', 1, 2, 3, 4)[:12] + struct.pack('>I', 1)), message('h', stock('PENS') + b'QT'),
    message('Q', struct.pack('>Q', 5) + stock('PENS') + struct.pack('>IQ', 100, 9) + b'O'),
    message('B', struct.pack('>Q', 1)),
    message('I', struct.pack('>QQ', 1, 2) + b'B' + stock('PENS') + struct.pack('>III', 1, 2, 3) + b'O1'),
    message('N', stock('PENS') + b'N'),
    message('O', stock('PENS') + b'Y' + struct.pack('>III', 1, 2, 3) + struct.pack('>QII', 4, 5, 6)),
    message('P', struct.pack('>Q', 0) + b'B' + struct.pack('>I', 10) + stock('PENS') + struct.pack('>IQ', 1000000, 3)),
]

day = [
    directory('PENS', OURS), directory('OTHR', OTHER),
    add(101, 'B', 300, 1000000), add(102, 'B', 200, 1000000, mpid='ABCD'), add(103, 'S', 100, 1000100),
    add(900, 'S', 5, 999000, 'OTHR', OTHER),  # would cross in our book
    executed(101, 100),         # the first of its price, in part
    cancelled(101, 50),         # keeps its place
    executed(101, 150),         # the rest of it
    executed_at(102, 20, 999900),
    replaced(103, 104, 80, 1000200), add(105, 'S', 10, 1000200),
    executed(104, 80), deleted(105), add(106, 'S', 7, 1000300),
] + NOISE


def itch(messages):
    return run(itch_import, 'PENS', write('itch', b''.join(messages)))


code, steps, err = itch(day)
check('an ITCH file is understood', code == 0 and '4 executions' in err and '0 not understood' in err, err)
check('hidden trades and other prices are counted', '1 executions at another price' in err and '1 of hidden' in err, err)
code, told, out, err = replay(steps)
check('the engine does what ITCH recorded', code == 0 and told['missed'] == '0' and told['fills'] == '4' and
      told['refused'] == '0', out + err)
check('the final book is the recorded one', 'bid 1000000 180 1' in out and 'ask 1000300 7 1' in out and told['resting'] == '2', out)

code, steps, err = itch([directory('PENS', OURS), add(1, 'B', 10, 500), add(2, 'B', 10, 500), executed(2, 10)])
code, told, out, err = replay(steps)
check('an execution that does not hit the first of its queue is found out', code == 1 and 'maker=2' in err, out + err)

code, steps, err = itch([directory('PENS', OURS), add(1, 'B', 10, 500), executed(1, 11), deleted(7), cancelled(1, 11)])
check('messages that cannot be are counted', code == 0 and '3 not understood' in err, err)
code, _, err = itch([day[0], day[2][:-1]])
check('a cut ITCH file is refused', code == 1 and 'cut' in err, err)
code, _, err = itch([day[0], struct.pack('>H', 5) + b'Axxxx'])
check('a message of the wrong length is refused', code == 1 and 'none of ITCH 5.0' in err, err)

# ---- LOBSTER ----

MESSAGES = """34200.004241176,1,16113575,18,5853300,1
34200.025551909,1,16120456,10,5859400,-1
34200.110,4,16113575,8,5853300,1
34200.2,2,16113575,4,5853300,1
34200.201743,5,0,100,5853300,1
34200.3,1,16120480,20,5853300,1
34200.4,4,16113575,6,5853300,1
34200.5,3,16120456,10,5859400,-1
34200.6,4,15000000,50,5853000,1
"""
# Two levels, ask and bid; the last execution is of an order from before the recording.
BOOK = """5859500,100,5853300,18,9999999999,0,5853000,200
5859400,10,5853300,18,5859500,100,5853000,200
5859400,10,5853300,10,5859500,100,5853000,200
5859400,10,5853300,6,5859500,100,5853000,200
5859400,10,5853300,6,5859500,100,5853000,200
5859400,10,5853300,26,5859500,100,5853000,200
5859400,10,5853300,20,5859500,100,5853000,200
5859500,100,5853300,20,9999999999,0,5853000,200
5859500,100,5853300,20,9999999999,0,5853000,150
"""


def lobster(messages, book):
    return run(lobster_import, 'PENS', write('messages', messages), write('book', book), '2')


code, steps, err = lobster(MESSAGES, BOOK)
check('LOBSTER files are understood', code == 0 and '3 executions' in err and '0 messages of orders that are not known' in err, err)
code, told, out, err = replay(steps)
# The last execution comes while a better bid rests: an exchange would not, and the engine hits the better one.
check('a trade behind the touch is found out', code == 1 and 'maker=' in err, out + err)
code, steps, err = lobster(''.join(MESSAGES.splitlines(True)[:-1]), ''.join(BOOK.splitlines(True)[:-1]))
code, told, out, err = replay(steps)
check('the engine does what LOBSTER recorded', code == 0 and told['missed'] == '0' and told['fills'] == '2', out + err)
code, steps, err = lobster(''.join(MESSAGES.splitlines(True)[:-1]), BOOK.replace('5853300,26', '5853300,27'))
code, told, out, err = replay(steps)
check('a book that is not as recorded is found out', code == 1 and 'lots=27' in err, out + err)
code, steps, err = run(lobster_import, 'PENS', write('messages', MESSAGES))
check('LOBSTER works without its order book file', code == 0 and '1 messages of orders that are not known' in err, err)
code, _, err = run(lobster_import, 'PENS', write('messages', '34200.1,1,5,ten,100,1\n'))
check('a line that is not LOBSTER is refused', code == 1 and ':1:' in err, err)

sys.exit(1 if failures else 0)
