//! matchcore's order book on a workload file of bench/engine; the same line of JSON as penstock-engine-bench.
//! matchcore names an order by the sequence number of the command that brought it, so names are translated when
//! the commands are made, before the clock starts.

use matchcore::*;
use std::time::Instant;

const REPEATS: usize = 3;
const SAMPLE_EVERY: usize = 8;

struct Workload {
    name: String,
    prefill: usize,
    commands: Vec<Command>,
    ids: Vec<u64>, // our order id by sequence number
}

#[derive(Default)]
struct Outcome {
    fills: u64,
    quantity: u64,
    notional: u128,
    fill_hash: u64,
    resting: u64,
    book_hash: u64,
}

fn hash(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn limit_order(op: &[u8]) -> CommandKind {
    let quantity = u32::from_le_bytes(op[16..20].try_into().unwrap());
    let side = if op[25] == 1 { Side::Buy } else { Side::Sell };
    let time_in_force = if op[24] == 1 { TimeInForce::Gtc } else { TimeInForce::Ioc };
    CommandKind::Submit(SubmitCmd {
        order: NewOrder::Limit(LimitOrder::new(
            Price(number(op, 8)),
            QuantityPolicy::Standard { quantity: Quantity(quantity.into()) },
            OrderFlags::new(side, false, time_in_force),
        )),
    })
}

fn read(path: &str) -> Workload {
    let bytes = std::fs::read(path).expect("a workload file");
    assert_eq!(&bytes[..8], b"PSWORK01", "not a workload file");
    let prefill = number(&bytes, 8) as usize;
    let mut sequences = vec![0u64; number(&bytes, 32) as usize + 1];
    let name = String::from_utf8_lossy(&bytes[40..64]).trim_end_matches('\0').to_string();
    let (mut commands, mut ids) = (Vec::new(), Vec::new());
    for (i, op) in bytes[64..].chunks_exact(32).enumerate() {
        let id = number(op, 0);
        let order_id = OrderId(sequences[id as usize]);
        let kind = match op[24] {
            1 | 2 => {
                sequences[id as usize] = i as u64;
                limit_order(op)
            }
            3 => CommandKind::Cancel(CancelCmd { order_id, order_kind: OrderKind::Limit }),
            _ => CommandKind::Amend(AmendCmd {
                order_id,
                patch: AmendPatch::Limit(LimitOrderPatch::new().with_price(Price(number(op, 8)))),
            }),
        };
        let meta = CommandMeta { sequence_number: SequenceNumber(i as u64), timestamp: Timestamp(i as u64) };
        commands.push(Command { meta, kind });
        ids.push(id);
    }
    Workload { name, prefill, commands, ids }
}

fn count_trades(workload: &Workload, taker: u64, report: &CommandReport, outcome: &mut Outcome) {
    let effects = match report {
        CommandReport::Submit(effects) | CommandReport::Amend(effects) => effects,
        CommandReport::Cancel => return,
    };
    for trade in effects.target_order().match_result().map_or(&[][..], |result| result.trades()) {
        let maker = workload.ids[trade.maker_order_id().0 as usize];
        let (price, quantity) = (trade.price().0, trade.quantity().0);
        outcome.fill_hash = hash(hash(hash(hash(outcome.fill_hash, taker), maker), price), quantity);
        outcome.fills += 1;
        outcome.quantity += quantity;
        outcome.notional += u128::from(price) * u128::from(quantity);
    }
}

fn count_resting(workload: &Workload, book: &OrderBook, outcome: &mut Outcome) {
    let mut orders: Vec<_> = book.limit().orders().iter().collect();
    orders.sort_by_key(|(_, order)| {
        let price = order.price().0;
        let buys = order.side() == Side::Buy;
        (!buys, if buys { u64::MAX - price } else { price }, order.time_priority())
    });
    for (id, order) in orders {
        let named = hash(outcome.book_hash, workload.ids[id.0 as usize]);
        outcome.book_hash = hash(hash(named, order.price().0), order.total_quantity().0);
        outcome.resting += 1;
    }
}

fn run_for_result(workload: &Workload) -> Outcome {
    let (mut book, mut outcome) = (OrderBook::new("BTC-USD"), Outcome::default());
    for (i, command) in workload.commands.iter().enumerate() {
        if let CommandOutcome::Applied(report) = book.execute(command) {
            count_trades(workload, workload.ids[i], &report, &mut outcome);
        }
    }
    count_resting(workload, &book, &mut outcome);
    outcome
}

fn apply(book: &mut OrderBook, commands: &[Command]) {
    for command in commands {
        std::hint::black_box(book.execute(command));
    }
}

fn run_for_time(workload: &Workload) -> f64 {
    let mut book = OrderBook::new("BTC-USD");
    apply(&mut book, &workload.commands[..workload.prefill]);
    let begun = Instant::now();
    apply(&mut book, &workload.commands[workload.prefill..]);
    begun.elapsed().as_secs_f64()
}

fn run_for_latency(workload: &Workload) -> Vec<u64> {
    let mut book = OrderBook::new("BTC-USD");
    let mut took = Vec::with_capacity(workload.commands.len() / SAMPLE_EVERY + 1);
    apply(&mut book, &workload.commands[..workload.prefill]);
    for (i, command) in workload.commands.iter().enumerate().skip(workload.prefill) {
        if i % SAMPLE_EVERY != 0 {
            std::hint::black_box(book.execute(command));
            continue;
        }
        let begun = Instant::now();
        std::hint::black_box(book.execute(command));
        took.push(begun.elapsed().as_nanos() as u64);
    }
    took.sort_unstable();
    took
}

fn clock_ns() -> u64 {
    let mut took: Vec<u64> = (0..10000).map(|_| Instant::now().elapsed().as_nanos() as u64).collect();
    took.sort_unstable();
    took[took.len() / 2]
}

fn measure(path: &str) {
    let workload = read(path);
    let outcome = run_for_result(&workload);
    let best = (0..REPEATS).map(|_| run_for_time(&workload)).fold(f64::MAX, f64::min);
    let took = run_for_latency(&workload);
    let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1000];
    let operations = workload.commands.len() - workload.prefill;
    println!(
        "{{\"subject\":\"matchcore\",\"what\":\"matchcore 0.4.0 (Rust)\",\"workload\":\"{}\",\"operations\":{},\
         \"fills\":{},\"quantity\":{},\"fill_hash\":\"{:016x}\",\"notional\":\"{}\",\"resting\":{},\"book_hash\":\"{:016x}\",\
         \"ops_per_s\":{:.0},\"ns_per_op\":{:.1},\"p50_ns\":{},\"p99_ns\":{},\"p999_ns\":{},\"clock_ns\":{}}}",
        workload.name, operations, outcome.fills, outcome.quantity, outcome.fill_hash, outcome.notional,
        outcome.resting, outcome.book_hash, operations as f64 / best, best * 1e9 / operations as f64,
        at(500), at(990), at(999), clock_ns()
    );
}

fn main() {
    std::env::args().skip(1).for_each(|path| measure(&path));
}
