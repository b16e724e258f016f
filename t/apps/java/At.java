import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;

/** The gate: where the test holds a handler; t/harness/gate.py is its keeper. */
class At {
    /** Says its name at the gate; returns what the test answers when it lets it go. */
    static byte[] gate(String name) throws IOException {
        try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of("gate"))) {
            channel.write(ByteBuffer.wrap((name + "\n").getBytes(StandardCharsets.UTF_8)));
            return Channels.newInputStream(channel).readAllBytes();
        }
    }
}
