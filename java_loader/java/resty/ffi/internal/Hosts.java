package resty.ffi.internal;

import java.util.Collection;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

/** Who serves which task queue. */
public final class Hosts {
    private static final ConcurrentMap<Long, Host> HOSTS = new ConcurrentHashMap<>();

    private Hosts() {}

    public static void add(long tq, Host host) {
        HOSTS.put(tq, host);
    }

    public static Host remove(long tq) {
        return HOSTS.remove(tq);
    }

    static Collection<Host> all() {
        return HOSTS.values();
    }

    public static Host find(long tq) {
        Host host = HOSTS.get(tq);
        if (host == null) {
            throw new IllegalStateException(
                    "0x" + Long.toHexString(tq) + " is not the task queue of a runtime");
        }
        return host;
    }
}
