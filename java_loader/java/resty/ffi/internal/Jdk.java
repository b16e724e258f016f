package resty.ffi.internal;

import java.lang.reflect.Field;

/** What the JDK keeps to itself, for what nothing of it undoes. */
final class Jdk {
    private Jdk() {}

    /** Lets this package, and no user's, at fields of the JDK. Once per process. */
    static void open() {
        for (String name : new String[] {"java.lang", "java.util", "java.util.concurrent"}) {
            Nginx.open(Object.class.getModule(), name, Jdk.class.getModule());
        }
        ModuleLayer.boot().findModule("java.sql").ifPresent(
                module -> Nginx.open(module, "java.sql", Jdk.class.getModule()));
    }

    /** The field of an object, or of its class if that is null; null if this JDK has none such. */
    static Object get(String className, String name, Object object) {
        try {
            return field(className, name).get(object);
        } catch (ReflectiveOperationException | RuntimeException other) {
            return null;
        }
    }

    /** The same way. */
    static void set(String className, String name, Object object, Object value) {
        try {
            field(className, name).set(object, value);
        } catch (ReflectiveOperationException | RuntimeException other) {
            return;
        }
    }

    private static Field field(String className, String name) throws ReflectiveOperationException {
        Field field = Class.forName(className).getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }
}
