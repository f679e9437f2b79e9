import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;

/** What the programs share: one JSON document at the end, refusals by name, waiting. */
final class Report {
    private Report() {}

    static String json(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
        if (value instanceof Map<?, ?> map) {
            StringBuilder text = new StringBuilder("{");
            map.forEach((k, v) -> text.append(text.length() > 1 ? "," : "").append(json(k)).append(':').append(json(v)));
            return text.append('}').toString();
        }
        if (value instanceof Iterable<?> list) {
            StringBuilder text = new StringBuilder("[");
            list.forEach(v -> text.append(text.length() > 1 ? "," : "").append(json(v)));
            return text.append(']').toString();
        }
        return '"' + String.valueOf(value).replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
    }

    /** The class of the exception that a call ends with, or null. */
    static String refusal(Callable<?> call) throws Exception {
        try {
            call.call();
            return null;
        } catch (ExecutionException e) {
            return e.getCause().getClass().getSimpleName();
        } catch (Exception e) {
            return e.getClass().getSimpleName();
        }
    }

    static boolean until(BooleanSupplier condition) throws InterruptedException {
        for (long end = System.nanoTime() + 120_000_000_000L; System.nanoTime() < end; Thread.sleep(20)) if (condition.getAsBoolean()) return true;
        return false;
    }

    static List<Object> list(Object... values) {
        return new java.util.ArrayList<>(java.util.Arrays.asList(values));
    }
}
