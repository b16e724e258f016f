package demo.http2;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import resty.ffi.FfiException;
import resty.ffi.Request;
import resty.ffi.RestyFfi;
import resty.ffi.Threads;

/** An HTTP/2 client: http:get(uri). Connections are kept, and shared by all calls. */
public final class App implements AutoCloseable {
    private final HttpClient client;

    private App(HttpClient client) {
        this.client = client;
    }

    /** cfg is the file of a certificate to trust; without it those of the JDK are. */
    public static int init(String cfg, long tq) throws IOException, GeneralSecurityException {
        HttpClient.Builder builder = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2);
        if (cfg != null && !cfg.isEmpty()) {
            builder.sslContext(trusting(Path.of(cfg)));
        }
        return RestyFfi.serve(tq, new App(builder.build()), Threads.perCall());
    }

    /** The body; any status but 200 is an error with the status as its number. */
    public byte[] get(Request request) throws IOException, InterruptedException, FfiException {
        Duration left = request.timeLeft();
        HttpRequest get =
                HttpRequest.newBuilder(URI.create(request.text())).timeout(left).build();
        HttpResponse<byte[]> response = client.send(get, HttpResponse.BodyHandlers.ofByteArray());
        if (response.statusCode() != 200) {
            throw new FfiException(response.statusCode(), new String(response.body()));
        }
        return response.body();
    }

    /** From JDK 21 on a client can be closed; before, it goes when it is collected. */
    @Override
    public void close() throws Exception {
        if (client instanceof AutoCloseable) {
            ((AutoCloseable) client).close();
        }
    }

    private static SSLContext trusting(Path certificate)
            throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(certificate)) {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            store.setCertificateEntry("server", factory.generateCertificate(pem));
        }
        TrustManagerFactory trust =
                TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
