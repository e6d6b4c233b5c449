/* Everything that bindgen and shim.c see of DPDK, in one place. */
#ifndef POLLUX_WRAPPER_H
#define POLLUX_WRAPPER_H

#include <stdbool.h>

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_epoll.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_interrupts.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_version.h>

/* Constants whose macros are casts or shifts, which bindgen cannot read. */
enum { POLLUX_HEADROOM = RTE_PKTMBUF_HEADROOM };
enum { POLLUX_EPOLL_PER_THREAD = RTE_EPOLL_PER_THREAD };
enum { POLLUX_INTR_EVENT_ADD = RTE_INTR_EVENT_ADD };
enum { POLLUX_RETA_GROUP = RTE_ETH_RETA_GROUP_SIZE };
enum { POLLUX_DYNFIELD1_SIZE = sizeof(((struct rte_mbuf *)0)->dynfield1) };
static const uint64_t POLLUX_RX_VLAN_STRIPPED = RTE_MBUF_F_RX_VLAN_STRIPPED;
static const uint64_t POLLUX_RX_QINQ_STRIPPED = RTE_MBUF_F_RX_QINQ_STRIPPED;
static const uint64_t POLLUX_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t POLLUX_OFFLOAD_SCATTER = RTE_ETH_RX_OFFLOAD_SCATTER;
static const uint64_t POLLUX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t POLLUX_RSS_ADDRESSES =
	RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER |
	RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
static const uint64_t POLLUX_RSS_PORTS =
	RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
	RTE_ETH_RSS_NONFRAG_IPV4_SCTP | RTE_ETH_RSS_NONFRAG_IPV6_TCP |
	RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_NONFRAG_IPV6_SCTP;
static const uint64_t POLLUX_RSS_LEVEL_INNERMOST = RTE_ETH_RSS_LEVEL_INNERMOST;

/* Receives up to n packets of one queue. */
uint16_t pollux_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **out,
			 uint16_t n);
/* The same, and clears `size` bytes at `offset` of every packet's mbuf. */
int pollux_rx_queue_count(uint16_t port, uint16_t queue);
uint16_t pollux_rx_burst_clear(uint16_t port, uint16_t queue,
			       struct rte_mbuf **out, uint16_t n,
			       uint16_t offset, uint16_t size);

/*
 * rte_pktmbuf_pool_create() without private data. `packed`: objects lie as
 * densely as they can, and may cross the borders of pages, so that no device
 * can write to them by physical addresses.
 */
struct rte_mempool *pollux_pool_create(const char *name, unsigned int n,
				       unsigned int cache, uint16_t room,
				       int socket, bool packed);
/* One mbuf with every dynamic field zero, or NULL when the pool is dry. */
struct rte_mbuf *pollux_mbuf_alloc(struct rte_mempool *pool);
/* The same for n of them: all, or 0 when the pool has less left. */
unsigned int pollux_mbuf_alloc_bulk(struct rte_mempool *pool,
				    struct rte_mbuf **mbufs, unsigned int n);
/* Gives whole chains back to their pools; NULL entries are passed over. */
void pollux_mbuf_free_bulk(struct rte_mbuf **mbufs, unsigned int n);
/* Whether every object is back, and nobody is still touching the pool. */
bool pollux_pool_idle(struct rte_mempool *pool);

int pollux_ring_enqueue(struct rte_ring *ring, void *object);
unsigned int pollux_ring_enqueue_burst(struct rte_ring *ring, void **objects,
				       unsigned int n);
void *pollux_ring_dequeue(struct rte_ring *ring);
unsigned int pollux_ring_free_count(struct rte_ring *ring);
unsigned int pollux_ring_count(struct rte_ring *ring);

unsigned int pollux_lcore_id(void);
int pollux_errno(void);
void pollux_set_errno(int value);
uint64_t pollux_rdtsc(void);
bool pollux_packet_drops(int interface, uint64_t *drops);

/* One direction of a TCP or UDP flow, in host byte order but for the addresses. */
struct pollux_flow {
	uint8_t version;  /* of IP, 4 or 6 */
	uint8_t protocol; /* 6 or 17 */
	uint16_t vlan;    /* of its only tag, or POLLUX_FLOW_UNTAGGED */
	uint16_t src_port;
	uint16_t dst_port;
	uint8_t src[16]; /* of IPv4 the first four */
	uint8_t dst[16];
};
enum { POLLUX_FLOW_UNTAGGED = 0xffff };

/* What a rule is to do besides dropping the flow's packets. */
enum {
	POLLUX_FLOW_KEEP_ENDS = 1,  /* leaves SYN, FIN and RST of TCP alone */
	POLLUX_FLOW_COUNT = 2,      /* counts what it drops */
	POLLUX_FLOW_TELL_TAGS = 4,  /* of an untagged flow: leaves tagged packets alone */
};

/*
 * Makes a rule that has the NIC drop the packets, or, without `made`, asks
 * whether it could be. 0, or a negative error number; the driver's words go
 * into `why`, of at least one byte.
 */
int pollux_flow_drop(uint16_t port, const struct pollux_flow *flow,
		     uint32_t how, struct rte_flow **made, char *why,
		     size_t room);
/* Takes it away; the rule is gone for the caller whatever this returns. */
int pollux_flow_destroy(uint16_t port, struct rte_flow *rule, char *why,
			size_t room);
/* What a rule that counts has dropped; UINT64_MAX for what is not told. */
int pollux_flow_dropped(uint16_t port, struct rte_flow *rule, uint64_t *packets,
			uint64_t *bytes, char *why, size_t room);

#endif
