package resty.ffi.internal;

import java.security.Provider;
import java.security.Security;
import java.util.List;
import javax.management.JMException;
import javax.management.MBeanServer;
import javax.management.MBeanServerFactory;
import javax.management.ObjectName;

/** What a runtime's classes have registered with the JDK, which would keep them. */
final class Registrations {
    private Registrations() {}

    static void removeOf(AppLoader loader) {
        if (loader.hasMade(Thread.getDefaultUncaughtExceptionHandler())) {
            Thread.setDefaultUncaughtExceptionHandler(Report::logUncaught);
        }
        for (Provider provider : Security.getProviders()) {
            if (loader.hasMade(provider)) {
                Security.removeProvider(provider.getName());
            }
        }
        removeDrivers(loader);
    }

    /** DriverManager's own method lets nobody else remove them. */
    private static void removeDrivers(AppLoader loader) {
        Object drivers = Jdk.get("java.sql.DriverManager", "registeredDrivers", null);
        if (drivers != null) {
            ((List<?>) drivers).removeIf(
                    info -> loader.hasMade(Jdk.get("java.sql.DriverInfo", "driver", info)));
        }
    }

    /** Apart from the others, as a JRE need not have them. */
    static void removeBeansOf(AppLoader loader) throws JMException {
        for (MBeanServer server : MBeanServerFactory.findMBeanServer(null)) {
            for (ObjectName name : server.queryNames(null, null)) {
                if (AppLoader.of(server.getClassLoaderFor(name)) == loader) {
                    server.unregisterMBean(name);
                }
            }
        }
    }
}
