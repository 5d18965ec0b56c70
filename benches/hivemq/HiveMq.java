import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Path;

/**
 * HiveMQ CE with its file store, on a folder that has conf/config.xml. It ends with its process.
 */
class HiveMq {
    public static void main(final String[] words) {
        final Path folder = Path.of(words[0]);
        EmbeddedHiveMQ.builder()
                .withConfigurationFolder(folder.resolve("conf"))
                .withDataFolder(folder.resolve("data"))
                .withExtensionsFolder(folder.resolve("extensions"))
                .build()
                .start()
                .join();
    }
}
