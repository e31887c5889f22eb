import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** Serves MongoDB's wire protocol on a port of this machine: see .ci/mongo. */
public class Mongo {
    public static void main(String[] args) {
        MemoryBackend backend = new MemoryBackend();
        // By itself it names wire version 8; the Go driver takes none before 9, MongoDB 4.4.
        backend.version(new MongoVersion() {
            public List<Integer> getVersionArray() { return List.of(4, 4, 0, 0); }
            public int getWireVersion() { return 9; }
        });
        MongoServer server = new MongoServer(backend);
        server.bind("127.0.0.1", Integer.parseInt(args[0]));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    }
}
