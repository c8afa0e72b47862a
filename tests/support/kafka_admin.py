"""What an operator does to topics and groups of a fleet, by Kafka's Python client: the fleet's programs have no part
in it. Each call returns when it is done."""
from confluent_kafka import OFFSET_END, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from fleet import wait_until

LIMIT_S = 60
STATE_TOPICS = ("state.user", "state.shared", "feature.deltas", "feature.totals")


class KafkaAdmin:
    def __init__(self, fleet):
        self.fleet = fleet
        self.client = AdminClient({"bootstrap.servers": fleet.stack.brokers, "log_level": 0})

    def delete_topics(self, *names):
        """Until no broker knows them."""
        topics = [self.fleet.topic(name) for name in names]
        finish(self.client.delete_topics(topics))
        wait_until(lambda: not set(topics) & set(self.client.list_topics(timeout=LIMIT_S).topics),
                   f"{topics} are still there", LIMIT_S)

    def partitions(self, name):
        topic = self.fleet.topic(name)
        return [TopicPartition(topic, p) for p in self.client.list_topics(topic, timeout=LIMIT_S).topics[topic]
                .partitions]

    def delete_records(self, name):
        """All there are."""
        places = self.partitions(name)
        for place in places:
            place.offset = OFFSET_END
        finish(self.client.delete_records(places))

    def set_config(self, name, key, value):
        """value None: Kafka's default again."""
        how = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
        entry = ConfigEntry(key, None if value is None else str(value), incremental_operation=how)
        finish(self.client.incremental_alter_configs(
            [ConfigResource(ResourceType.TOPIC, self.fleet.topic(name), incremental_configs=[entry])]))

    def delete_group(self, group="features"):
        """Its members' sessions must end first."""
        def is_deleted():
            try:
                finish(self.client.delete_consumer_groups([self.fleet.topic(group)]))
            except KafkaException as e:
                return "not found" in str(e).lower() or "does not exist" in str(e).lower()
            return True
        wait_until(is_deleted, f"the group {group} cannot be deleted", LIMIT_S)

    def count_anew(self):
        """What the workers advise where part of what their state was made of is gone."""
        self.delete_group()
        self.delete_topics(*STATE_TOPICS)
        self.fleet.create_topics()


def finish(futures):
    return [future.result(LIMIT_S) for future in futures.values()]
