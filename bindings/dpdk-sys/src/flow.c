/*
 * Rules that have a NIC drop one direction of a flow. They are put together
 * here because their items are unions, bit-fields and packed headers, and
 * because drivers want exactly the masks below.
 */
#include <stdio.h>
#include <string.h>

#include "wrapper.h"

/* The driver's own words, or none. */
static int told(int result, const struct rte_flow_error *error, char *why,
		size_t room)
{
	const char *message = result != 0 ? error->message : NULL;

	snprintf(why, room, "%s", message != NULL ? message : "");
	return result;
}

int pollux_flow_drop(uint16_t port, const struct pollux_flow *flow,
		     uint32_t how, struct rte_flow **made, char *why,
		     size_t room)
{
	const struct rte_flow_attr attr = { .ingress = 1 };
	const struct rte_flow_item_eth untagged = { .has_vlan = 0 };
	const struct rte_flow_item_eth tag_mask = { .has_vlan = 1 };
	const struct rte_flow_item_vlan vlan = {
		.tci = rte_cpu_to_be_16(flow->vlan),
	};
	/* The identifier alone: priorities may change within a flow. */
	const struct rte_flow_item_vlan vlan_mask = {
		.tci = RTE_BE16(0x0fff),
	};
	struct rte_flow_item_ipv4 ipv4 = { 0 }, ipv4_mask = { 0 };
	struct rte_flow_item_ipv6 ipv6 = { 0 }, ipv6_mask = { 0 };
	struct rte_flow_item_tcp tcp = { 0 }, tcp_mask = { 0 };
	struct rte_flow_item_udp udp = { 0 }, udp_mask = { 0 };
	const struct rte_flow_action_count count = { 0 };
	struct rte_flow_item items[5];
	struct rte_flow_action actions[3];
	struct rte_flow_error error = { 0 };
	unsigned int item = 0, action = 0;

	memset(items, 0, sizeof(items));
	memset(actions, 0, sizeof(actions));
	items[item].type = RTE_FLOW_ITEM_TYPE_ETH;
	if (flow->vlan == POLLUX_FLOW_UNTAGGED &&
	    (how & POLLUX_FLOW_TELL_TAGS)) {
		items[item].spec = &untagged;
		items[item].mask = &tag_mask;
	}
	item++;
	if (flow->vlan != POLLUX_FLOW_UNTAGGED) {
		items[item].type = RTE_FLOW_ITEM_TYPE_VLAN;
		items[item].spec = &vlan;
		items[item].mask = &vlan_mask;
		item++;
	}
	if (flow->version == 4) {
		memcpy(&ipv4.hdr.src_addr, flow->src, 4);
		memcpy(&ipv4.hdr.dst_addr, flow->dst, 4);
		ipv4_mask.hdr.src_addr = RTE_BE32(0xffffffff);
		ipv4_mask.hdr.dst_addr = RTE_BE32(0xffffffff);
		items[item].type = RTE_FLOW_ITEM_TYPE_IPV4;
		items[item].spec = &ipv4;
		items[item].mask = &ipv4_mask;
	} else {
		memcpy(ipv6.hdr.src_addr, flow->src, 16);
		memcpy(ipv6.hdr.dst_addr, flow->dst, 16);
		memset(ipv6_mask.hdr.src_addr, 0xff, 16);
		memset(ipv6_mask.hdr.dst_addr, 0xff, 16);
		items[item].type = RTE_FLOW_ITEM_TYPE_IPV6;
		items[item].spec = &ipv6;
		items[item].mask = &ipv6_mask;
	}
	item++;
	if (flow->protocol == 6) {
		tcp.hdr.src_port = rte_cpu_to_be_16(flow->src_port);
		tcp.hdr.dst_port = rte_cpu_to_be_16(flow->dst_port);
		tcp_mask.hdr.src_port = RTE_BE16(0xffff);
		tcp_mask.hdr.dst_port = RTE_BE16(0xffff);
		if (how & POLLUX_FLOW_KEEP_ENDS)
			tcp_mask.hdr.tcp_flags = RTE_TCP_SYN_FLAG |
						 RTE_TCP_FIN_FLAG |
						 RTE_TCP_RST_FLAG;
		items[item].type = RTE_FLOW_ITEM_TYPE_TCP;
		items[item].spec = &tcp;
		items[item].mask = &tcp_mask;
	} else {
		udp.hdr.src_port = rte_cpu_to_be_16(flow->src_port);
		udp.hdr.dst_port = rte_cpu_to_be_16(flow->dst_port);
		udp_mask.hdr.src_port = RTE_BE16(0xffff);
		udp_mask.hdr.dst_port = RTE_BE16(0xffff);
		items[item].type = RTE_FLOW_ITEM_TYPE_UDP;
		items[item].spec = &udp;
		items[item].mask = &udp_mask;
	}
	item++;
	items[item].type = RTE_FLOW_ITEM_TYPE_END;
	if (how & POLLUX_FLOW_COUNT) {
		actions[action].type = RTE_FLOW_ACTION_TYPE_COUNT;
		actions[action].conf = &count;
		action++;
	}
	actions[action++].type = RTE_FLOW_ACTION_TYPE_DROP;
	actions[action].type = RTE_FLOW_ACTION_TYPE_END;

	rte_errno = 0;
	if (made == NULL)
		return told(rte_flow_validate(port, &attr, items, actions,
					      &error),
			    &error, why, room);
	*made = rte_flow_create(port, &attr, items, actions, &error);
	if (*made != NULL)
		return told(0, &error, why, room);
	return told(rte_errno != 0 ? -rte_errno : -1, &error, why, room);
}

int pollux_flow_destroy(uint16_t port, struct rte_flow *rule, char *why,
			size_t room)
{
	struct rte_flow_error error = { 0 };

	rte_errno = 0;
	return told(rte_flow_destroy(port, rule, &error), &error, why, room);
}

int pollux_flow_dropped(uint16_t port, struct rte_flow *rule, uint64_t *packets,
			uint64_t *bytes, char *why, size_t room)
{
	const struct rte_flow_action count[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_COUNT },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};
	struct rte_flow_query_count seen = { 0 };
	struct rte_flow_error error = { 0 };
	int result;

	rte_errno = 0;
	result = rte_flow_query(port, rule, count, &seen, &error);
	*packets = result == 0 && seen.hits_set ? seen.hits : UINT64_MAX;
	*bytes = result == 0 && seen.bytes_set ? seen.bytes : UINT64_MAX;
	return told(result, &error, why, room);
}
