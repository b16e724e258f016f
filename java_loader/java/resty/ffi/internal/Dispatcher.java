package resty.ffi.internal;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import resty.ffi.FfiException;
import resty.ffi.Handler;
import resty.ffi.Request;

/** Finds what answers a call: a Handler, or the object's public method of that name. */
public final class Dispatcher {
    /** rc of a call that fails without saying how. */
    static final int FAILED = 1;

    private static final Set<Class<?>> PARAMETERS =
            Set.of(Request.class, byte[].class, String.class);
    private static final Set<Class<?>> RESULTS = Set.of(byte[].class, String.class, void.class);

    private final Handler all;
    private final String[] names;
    private final Handler[] handlers;

    /** Raises IllegalArgumentException when the handler has nothing to call. */
    public Dispatcher(Object handler) {
        all = handler instanceof Handler ? (Handler) handler : null;
        Map<String, Handler> methods = new TreeMap<>(BY_BYTES);
        if (all == null && handler != null) {
            for (Method method : handler.getClass().getMethods()) {
                if (answers(method)
                        && methods.put(method.getName(), bind(method, handler)) != null) {
                    throw new IllegalArgumentException(
                            "handler has more than one method " + method.getName());
                }
            }
        }
        if (all == null && methods.isEmpty()) {
            throw new IllegalArgumentException(
                    "handler must be a Handler, or have public methods like"
                            + " byte[] name(Request), not "
                            + (handler == null ? null : handler.getClass().getName()));
        }
        names = methods.keySet().toArray(String[]::new);
        handlers = methods.values().toArray(Handler[]::new);
    }

    /** The names of all methods as UTF-8, sorted; empty: one handler answers all. */
    byte[][] names() {
        return Arrays.stream(names).map(Report::bytes).toArray(byte[][]::new);
    }

    /** What answers the method of that index; an index that there is not is an unknown method. */
    Handler at(int index) {
        if (all != null) {
            return all;
        }
        return index < handlers.length ? handlers[index] : Dispatcher::refuse;
    }

    /** The same by its name. */
    public Handler find(String method) {
        int index = Arrays.binarySearch(names, method, BY_BYTES);
        return at(index < 0 ? Nginx.UNKNOWN : index);
    }

    private static final Comparator<String> BY_BYTES =
            (one, other) -> Arrays.compareUnsigned(Report.bytes(one), Report.bytes(other));

    private static byte[] refuse(Request request) throws FfiException {
        throw new FfiException(FAILED, "no method '" + request.method() + "'");
    }

    private static boolean answers(Method method) {
        return method.getDeclaringClass() != Object.class
                && !Modifier.isStatic(method.getModifiers())
                && method.getParameterCount() == 1
                && PARAMETERS.contains(method.getParameterTypes()[0])
                && RESULTS.contains(method.getReturnType());
    }

    private static Handler bind(Method method, Object handler) {
        MethodHandle target;
        try {
            method.setAccessible(true);
            target = MethodHandles.lookup().unreflect(method).bindTo(handler);
        } catch (IllegalAccessException error) {
            throw new IllegalArgumentException(error);
        }
        MethodHandle call =
                target.asType(MethodType.methodType(Object.class, Object.class));
        Class<?> parameter = method.getParameterTypes()[0];
        return request -> {
            try {
                return bytes(call.invokeExact(argument(request, parameter)));
            } catch (Exception | Error thrown) {
                throw thrown;
            } catch (Throwable thrown) {
                throw new IllegalStateException(thrown);
            }
        };
    }

    private static Object argument(Request request, Class<?> type) {
        if (type == Request.class) {
            return request;
        }
        return type == String.class ? request.text() : request.body();
    }

    private static byte[] bytes(Object response) {
        return response instanceof String
                ? ((String) response).getBytes(StandardCharsets.UTF_8)
                : (byte[]) response;
    }
}
