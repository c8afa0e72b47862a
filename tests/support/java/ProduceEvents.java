import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteBufferSerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Produces events as an application in Java does that has no schema registry: Avro single-object
 * encoding, the user's id as key, the client's own partitioner.
 *
 * <p>ProduceEvents BROKERS TOPIC SCHEMA. On stdin a line {"codec": "zstd", "event": {...}} each; an
 * empty line waits until all before it are acknowledged, and is answered with their number.
 */
public final class ProduceEvents {
    private final String brokers;
    private final String topic;
    private final Schema schema;
    private final BinaryMessageEncoder<GenericRecord> encoder;
    private final Map<String, KafkaProducer<String, ByteBuffer>> producers = new HashMap<>();
    private final List<Future<RecordMetadata>> sent = new ArrayList<>();

    private ProduceEvents(String brokers, String topic, Schema schema) {
        this.brokers = brokers;
        this.topic = topic;
        this.schema = schema;
        this.encoder = new BinaryMessageEncoder<>(GenericData.get(), schema);
    }

    /** One for each codec, with everything else as it is by default. */
    private KafkaProducer<String, ByteBuffer> producer(String codec) {
        return producers.computeIfAbsent(codec, name -> new KafkaProducer<>(
            Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers,
                   ProducerConfig.COMPRESSION_TYPE_CONFIG, name),
            new StringSerializer(), new ByteBufferSerializer()));
    }

    /** Fields that are not given have their defaults. */
    private GenericRecord record(JsonNode event) {
        GenericRecordBuilder builder = new GenericRecordBuilder(schema);
        for (Schema.Field field : schema.getFields()) {
            if (event.has(field.name())) {
                builder.set(field, value(event.get(field.name()), field.schema()));
            }
        }
        return builder.build();
    }

    private static Object value(JsonNode json, Schema schema) {
        switch (schema.getType()) {
            case STRING:
                return json.textValue();
            case LONG:
                return json.longValue();
            case DOUBLE:
                return json.doubleValue();
            case ARRAY:
                List<Object> items = new ArrayList<>();
                json.forEach(item -> items.add(value(item, schema.getElementType())));
                return items;
            case MAP:
                Map<String, Object> entries = new HashMap<>();
                json.properties().forEach(
                    entry -> entries.put(entry.getKey(), value(entry.getValue(), schema.getValueType())));
                return entries;
            case UNION: // of null and another
                return json.isNull() ? null : value(json, schema.getTypes().get(1));
            default:
                throw new IllegalArgumentException("an event has no " + schema.getType());
        }
    }

    private void send(JsonNode line) throws IOException {
        GenericRecord event = record(line.get("event"));
        sent.add(producer(line.get("codec").textValue())
                     .send(new ProducerRecord<>(topic, (String) event.get("user_id"), encoder.encode(event))));
    }

    private void acknowledge() throws InterruptedException, ExecutionException {
        producers.values().forEach(KafkaProducer::flush);
        for (Future<RecordMetadata> one : sent) {
            one.get();
        }
        System.out.println(sent.size());
        sent.clear();
    }

    public static void main(String[] arguments) throws Exception {
        ProduceEvents client = new ProduceEvents(
            arguments[0], arguments[1], new Schema.Parser().parse(Path.of(arguments[2]).toFile()));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        ObjectMapper json = new ObjectMapper();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (line.isEmpty()) {
                client.acknowledge();
            } else {
                client.send(json.readTree(line));
            }
        }
        client.producers.values().forEach(KafkaProducer::close);
    }
}
