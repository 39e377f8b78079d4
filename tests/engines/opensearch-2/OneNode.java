import java.util.Collections;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** One OpenSearch node with the settings given as name=value; prints its port when it is ready, ends with its stdin. */
public final class OneNode extends Node {
    private OneNode(Settings settings) {
        super(
            InternalSettingsPreparer.prepareEnvironment(settings, Collections.emptyMap(), null, () -> "one"),
            Collections.singletonList(Netty4Plugin.class),
            true);
    }

    public static void main(String[] given) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String setting : given) {
            String[] parts = setting.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        OneNode node = new OneNode(settings.put("http.type", "netty4").put("transport.type", "netty4").build());
        node.start();
        System.out.println(node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress().getPort());
        while (System.in.read() != -1) {
            // Whoever started us only ever closes it.
        }
        node.close();
        System.exit(0);
    }
}
