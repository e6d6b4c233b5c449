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
#include <rte_interrupts.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
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

/* One mbuf with every dynamic field zero, or NULL when the pool is dry. */
struct rte_mbuf *pollux_mbuf_alloc(struct rte_mempool *pool);
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

#endif
