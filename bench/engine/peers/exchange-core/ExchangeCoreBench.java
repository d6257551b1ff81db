import exchange.core2.collections.objpool.ObjectsPool;
import exchange.core2.core.common.CoreSymbolSpecification;
import exchange.core2.core.common.MatcherEventType;
import exchange.core2.core.common.MatcherTradeEvent;
import exchange.core2.core.common.OrderAction;
import exchange.core2.core.common.OrderType;
import exchange.core2.core.common.SymbolType;
import exchange.core2.core.common.cmd.OrderCommand;
import exchange.core2.core.common.config.LoggingConfiguration;
import exchange.core2.core.orderbook.OrderBookDirectImpl;
import exchange.core2.core.orderbook.OrderBookEventsHelper;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;

/** exchange-core's direct order book alone, on a workload file of bench/engine; the same line of JSON as penstock-engine-bench. */
public final class ExchangeCoreBench {
    private static final int LIMIT = 1, IOC = 2, CANCEL = 3, MOVE = 4, BUY = 1;
    private static final int WARM_UP_RUNS = 3, REPEATS = 3, SAMPLE_EVERY = 8;

    private final int prefill, count;
    private final String name;
    private final long[] ids, prices;
    private final int[] quantities, users;
    private final byte[] kinds, sides;

    private OrderBookDirectImpl book;
    private final OrderCommand command = new OrderCommand();
    private long fills, quantity, fillHash, resting, bookHash;
    private BigInteger notional = BigInteger.ZERO;

    private ExchangeCoreBench(ByteBuffer file) {
        byte[] magic = new byte[8], text = new byte[24];
        file.get(magic);
        if (!new String(magic).equals("PSWORK01"))
            throw new IllegalArgumentException("not a workload file");
        prefill = (int) file.getLong();
        count = prefill + (int) file.getLong();
        file.getLong();
        file.getLong();
        file.get(text);
        name = new String(text).trim();
        ids = new long[count];
        prices = new long[count];
        quantities = new int[count];
        users = new int[count];
        kinds = new byte[count];
        sides = new byte[count];
        for (int i = 0; i < count; i++) {
            ids[i] = file.getLong();
            prices[i] = file.getLong();
            quantities[i] = file.getInt();
            users[i] = file.getInt();
            kinds[i] = file.get();
            sides[i] = file.get();
            file.position(file.position() + 6);
        }
    }

    private void open() {
        CoreSymbolSpecification symbol = CoreSymbolSpecification.builder().symbolId(1).type(SymbolType.FUTURES_CONTRACT)
                .baseCurrency(2).quoteCurrency(1).baseScaleK(1).quoteScaleK(1).build();
        book = new OrderBookDirectImpl(symbol, ObjectsPool.createDefaultTestPool(),
                OrderBookEventsHelper.NON_POOLED_EVENTS_HELPER, LoggingConfiguration.DEFAULT);
    }

    private void apply(int i) {
        OrderCommand c = command;
        c.orderId = ids[i];
        c.uid = users[i];
        c.matcherEvent = null;
        switch (kinds[i]) {
            case LIMIT:
            case IOC:
                c.action = sides[i] == BUY ? OrderAction.BID : OrderAction.ASK;
                c.price = prices[i];
                c.reserveBidPrice = prices[i];
                c.size = quantities[i];
                c.orderType = kinds[i] == LIMIT ? OrderType.GTC : OrderType.IOC;
                book.newOrder(c);
                break;
            case CANCEL:
                book.cancelOrder(c);
                break;
            case MOVE:
                c.price = prices[i];
                book.moveOrder(c);
                break;
            default:
                throw new IllegalArgumentException("operation " + i);
        }
    }

    private void apply(int first, int end) {
        for (int i = first; i < end; i++)
            apply(i);
    }

    private static long hash(long hash, long value) {
        hash = (hash ^ value) * 0x9e3779b97f4a7c15L;
        return hash ^ hash >>> 32;
    }

    private void runForResult() {
        open();
        fills = quantity = fillHash = resting = bookHash = 0;
        notional = BigInteger.ZERO;
        for (int i = 0; i < count; i++) {
            apply(i);
            for (MatcherTradeEvent event = command.matcherEvent; event != null; event = event.nextEvent) {
                if (event.eventType != MatcherEventType.TRADE)
                    continue;
                fillHash = hash(hash(hash(hash(fillHash, ids[i]), event.matchedOrderId), event.price), event.size);
                fills++;
                quantity += event.size;
                notional = notional.add(BigInteger.valueOf(Math.multiplyExact(event.price, event.size)));
            }
        }
        book.bidOrdersStream(true).forEach(this::countResting);
        book.askOrdersStream(true).forEach(this::countResting);
    }

    private void countResting(OrderBookDirectImpl.DirectOrder order) {
        bookHash = hash(hash(hash(bookHash, order.orderId), order.price), order.size - order.filled);
        resting++;
    }

    private double runForTime() {
        open();
        apply(0, prefill);
        long begun = System.nanoTime();
        apply(prefill, count);
        return (System.nanoTime() - begun) / 1e9;
    }

    private long[] runForLatency() {
        long[] took = new long[(count - prefill) / SAMPLE_EVERY + 1];
        int samples = 0;
        open();
        apply(0, prefill);
        for (int i = prefill; i < count; i++) {
            if (i % SAMPLE_EVERY != 0) {
                apply(i);
                continue;
            }
            long begun = System.nanoTime();
            apply(i);
            took[samples++] = System.nanoTime() - begun;
        }
        took = Arrays.copyOf(took, samples);
        Arrays.sort(took);
        return took;
    }

    private static long clockNs() {
        long[] took = new long[10000];
        for (int i = 0; i < took.length; i++) {
            long begun = System.nanoTime();
            took[i] = System.nanoTime() - begun;
        }
        Arrays.sort(took);
        return took[took.length / 2];
    }

    private void measure() {
        for (int i = 0; i < WARM_UP_RUNS; i++)
            runForTime();
        double best = Double.MAX_VALUE;
        for (int i = 0; i < REPEATS; i++)
            best = Math.min(best, runForTime());
        runForLatency();
        long[] took = runForLatency();
        runForResult();
        int operations = count - prefill;
        System.out.printf("{\"subject\":\"exchange-core\",\"what\":\"exchange-core 0.5.3, direct order book, warmed up\","
                + "\"workload\":\"%s\",\"operations\":%d,\"fills\":%d,\"quantity\":%d,\"fill_hash\":\"%016x\",\"notional\":\"%s\","
                + "\"resting\":%d,\"book_hash\":\"%016x\",\"ops_per_s\":%.0f,\"ns_per_op\":%.1f,"
                + "\"p50_ns\":%d,\"p99_ns\":%d,\"p999_ns\":%d,\"clock_ns\":%d}%n",
                name, operations, fills, quantity, fillHash, notional, resting, bookHash, operations / best,
                best * 1e9 / operations, at(took, 500), at(took, 990), at(took, 999), clockNs());
    }

    private static long at(long[] sorted, int perMille) {
        return sorted[(int) ((sorted.length - 1L) * perMille / 1000)];
    }

    public static void main(String[] arguments) throws IOException {
        for (String path : arguments) {
            try (FileChannel channel = FileChannel.open(Path.of(path), StandardOpenOption.READ)) {
                ByteBuffer file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
                new ExchangeCoreBench(file.order(ByteOrder.LITTLE_ENDIAN)).measure();
            }
        }
    }
}
