/*
 * Symbols for what DPDK only offers as inline functions, so that Rust can link
 * to them. A call costs about a nanosecond per burst, not per packet.
 */
#include <arpa/inet.h>
#include <emmintrin.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wrapper.h"

uint16_t pollux_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **out,
			 uint16_t n)
{
	return rte_eth_rx_burst(port, queue, out, n);
}

int pollux_rx_queue_count(uint16_t port, uint16_t queue)
{
	return rte_eth_rx_queue_count(port, queue);
}

uint16_t pollux_rx_burst_clear(uint16_t port, uint16_t queue,
			       struct rte_mbuf **out, uint16_t n,
			       uint16_t offset, uint16_t size)
{
	uint16_t got = rte_eth_rx_burst(port, queue, out, n);

	for (uint16_t i = 0; i < got; i++)
		memset(RTE_PTR_ADD(out[i], offset), 0, size);
	return got;
}

struct rte_mempool *pollux_pool_create(const char *name, unsigned int n,
				       unsigned int cache, uint16_t room,
				       int socket, bool packed)
{
	struct rte_mempool *pool = rte_mempool_create_empty(
		name, n, sizeof(struct rte_mbuf) + room, cache,
		sizeof(struct rte_pktmbuf_pool_private), socket,
		packed ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0);
	int error;

	if (pool == NULL)
		return NULL;
	error = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (error == 0) {
		rte_pktmbuf_pool_init(pool, NULL);
		error = rte_mempool_populate_default(pool);
	}
	if (error < 0) {
		rte_mempool_free(pool);
		rte_errno = -error;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

struct rte_mbuf *pollux_mbuf_alloc(struct rte_mempool *pool)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (likely(m != NULL))
		memset(m->dynfield1, 0, sizeof(m->dynfield1));
	return m;
}

unsigned int pollux_mbuf_alloc_bulk(struct rte_mempool *pool,
				    struct rte_mbuf **mbufs, unsigned int n)
{
	if (rte_mempool_get_bulk(pool, (void **)mbufs, n) != 0)
		return 0;
	/* Their headers are asked for together, not waited for one by one. */
	for (unsigned int i = 0; i < n; i++) {
		rte_mbuf_prefetch_part1(mbufs[i]);
		rte_mbuf_prefetch_part2(mbufs[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		rte_pktmbuf_reset(mbufs[i]);
		memset(mbufs[i]->dynfield1, 0, sizeof(mbufs[i]->dynfield1));
	}
	return n;
}

/*
 * rte_mempool_put_bulk() raises the cache's length before it has written the
 * objects, and while it flushes the same objects count in the cache and in the
 * ring. Here the length is what is published last, so that pollux_pool_idle()
 * can tell from the counts alone that the last writer is done with the pool.
 */
static void pool_put(struct rte_mempool *pool, void **objects, unsigned int n)
{
	struct rte_mempool_cache *cache =
		rte_mempool_default_cache(pool, rte_lcore_id());

	if (cache == NULL || n > cache->flushthresh) {
		rte_mempool_ops_enqueue_bulk(pool, objects, n);
		return;
	}

	uint32_t len = cache->len;

	if (len + n > cache->flushthresh) {
		__atomic_store_n(&cache->len, 0, __ATOMIC_RELEASE);
		rte_mempool_ops_enqueue_bulk(pool, cache->objs, len);
		len = 0;
	}
	memcpy(&cache->objs[len], objects, sizeof(objects[0]) * n);
	__atomic_store_n(&cache->len, len + n, __ATOMIC_RELEASE);
}

#define FREE_BATCH 64

/*
 * Whether all of them are there, of one segment and one pool, without a second
 * owner or foreign memory: then there is nothing to reset. One pass without a
 * branch each, as nearly every burst is. The header's second line is not looked
 * at: a packet of one segment has no next one, which DPDK's own fast free
 * (RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) relies on, too.
 */
static bool all_plain(struct rte_mbuf *const *mbufs, unsigned int n)
{
	/* The lower half: the reference count and the segments in rearm_data; the upper: ol_flags. */
	const __m128i mask = _mm_set_epi64x(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL,
					    (uint64_t)0xffffffff << 16);
	const __m128i once = _mm_set_epi64x(0, ((uint64_t)1 << 16) | ((uint64_t)1 << 32));
	struct rte_mempool *pool = mbufs[0] == NULL ? NULL : mbufs[0]->pool;
	__m128i odd = _mm_setzero_si128();
	uintptr_t foreign = 0;

	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, refcnt) !=
			 offsetof(struct rte_mbuf, rearm_data) + 2);
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, nb_segs) !=
			 offsetof(struct rte_mbuf, rearm_data) + 4);
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, ol_flags) !=
			 offsetof(struct rte_mbuf, rearm_data) + 8);
	for (unsigned int i = 0; i < n; i++) {
		const struct rte_mbuf *m = mbufs[i];

		if (m == NULL)
			return false;

		__m128i of = _mm_loadu_si128((const __m128i *)&m->rearm_data);

		odd = _mm_or_si128(odd, _mm_xor_si128(_mm_and_si128(of, mask), once));
		foreign |= (uintptr_t)m->pool ^ (uintptr_t)pool;
	}
	return foreign == 0 &&
	       _mm_movemask_epi8(_mm_cmpeq_epi32(odd, _mm_setzero_si128())) == 0xffff;
}

void pollux_mbuf_free_bulk(struct rte_mbuf **mbufs, unsigned int n)
{
	if (n > 0 && all_plain(mbufs, n)) {
		pool_put(mbufs[0]->pool, (void **)mbufs, n);
		return;
	}

	void *batch[FREE_BATCH];
	struct rte_mempool *pool = NULL;
	unsigned int held = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *next;

		for (struct rte_mbuf *m = mbufs[i]; m != NULL; m = next) {
			next = m->next;
			m = rte_pktmbuf_prefree_seg(m);
			if (m == NULL)
				continue;
			if (held == FREE_BATCH || (held > 0 && m->pool != pool)) {
				pool_put(pool, batch, held);
				held = 0;
			}
			pool = m->pool;
			batch[held++] = m;
		}
	}
	if (held > 0)
		pool_put(pool, batch, held);
}

bool pollux_pool_idle(struct rte_mempool *pool)
{
	/*
	 * The ring first, then the caches: objects only travel from a cache to
	 * the ring by now, so that none can be counted twice.
	 */
	uint64_t home = rte_mempool_get_ops(pool->ops_index)->get_count(pool);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (pool->cache_size > 0)
		for (unsigned int i = 0; i < RTE_MAX_LCORE; i++)
			home += __atomic_load_n(&pool->local_cache[i].len,
						__ATOMIC_ACQUIRE);
	return home == pool->size;
}

int pollux_ring_enqueue(struct rte_ring *ring, void *object)
{
	return rte_ring_enqueue(ring, object);
}

unsigned int pollux_ring_enqueue_burst(struct rte_ring *ring, void **objects,
				       unsigned int n)
{
	return rte_ring_enqueue_burst(ring, objects, n, NULL);
}

void *pollux_ring_dequeue(struct rte_ring *ring)
{
	void *object = NULL;

	return rte_ring_dequeue(ring, &object) == 0 ? object : NULL;
}

unsigned int pollux_ring_free_count(struct rte_ring *ring)
{
	return rte_ring_free_count(ring);
}

unsigned int pollux_ring_count(struct rte_ring *ring)
{
	return rte_ring_count(ring);
}

unsigned int pollux_lcore_id(void)
{
	return rte_lcore_id();
}

int pollux_errno(void)
{
	return rte_errno;
}

void pollux_set_errno(int value)
{
	rte_errno = value;
}

uint64_t pollux_rdtsc(void)
{
	return rte_rdtsc();
}

/* The packet sockets of this process: only they know what the kernel dropped. */
#define POLLUX_SOCKETS 256
static struct {
	int fd;
	uint64_t drops;
} packet_sockets[POLLUX_SOCKETS];
static unsigned int packet_socket_count;

static void remember_packet_socket(int fd)
{
	unsigned int i = __atomic_fetch_add(&packet_socket_count, 1, __ATOMIC_ACQ_REL);

	if (i < POLLUX_SOCKETS) {
		packet_sockets[i].drops = 0;
		__atomic_store_n(&packet_sockets[i].fd, fd + 1, __ATOMIC_RELEASE);
	}
}

/*
 * Packets that the kernel dropped before packet sockets on this interface since
 * they were opened. Reading resets the kernel's count, so it is summed up here:
 * one caller at a time. False when no such socket is known.
 */
bool pollux_packet_drops(int interface, uint64_t *drops)
{
	unsigned int count = __atomic_load_n(&packet_socket_count, __ATOMIC_ACQUIRE);
	bool known = false;

	*drops = 0;
	for (unsigned int i = 0; i < count && i < POLLUX_SOCKETS; i++) {
		int fd = __atomic_load_n(&packet_sockets[i].fd, __ATOMIC_ACQUIRE) - 1;
		struct sockaddr_ll address;
		socklen_t length = sizeof(address);
		struct tpacket_stats stats;
		socklen_t size = sizeof(stats);

		/* A closed socket's number may be another file's by now. */
		if (fd < 0 ||
		    getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
		    address.sll_family != AF_PACKET ||
		    address.sll_ifindex != interface)
			continue;
		if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
			packet_sockets[i].drops += stats.tp_drops;
		*drops += packet_sockets[i].drops;
		known = true;
	}
	return known;
}

/*
 * The driver net_af_packet opens its sockets for every protocol, and binds them
 * to its interface when their rings are mapped, tens of milliseconds later. Until
 * then the kernel puts what all interfaces of the network namespace carry, also
 * the loopback's, into the ring, to be received as if it had come to the port. A
 * socket without a protocol takes nothing before it is bound; bind() names the
 * protocol again. (Later versions of the driver do so by themselves.)
 * The process's own definition goes before libc's, for drivers too.
 */
int socket(int domain, int type, int protocol)
{
	if (domain == AF_PACKET && protocol == htons(ETH_P_ALL))
		protocol = 0;
	return (int)syscall(SYS_socket, domain, type, protocol);
}

/*
 * The driver net_af_packet puts its sockets, also a single one, into a fanout
 * group, and has no argument against it. The group puts IPv4 fragments together:
 * a sensor would see what was never sent, datagrams longer than any frame, cut off
 * by the ring's slots, and none of the fragments that stay incomplete. And its
 * number is made of the process's and the interface's: two pods of a node, each of
 * them process 1 in its own eyes, would share one, and each get a part of the
 * packets. A port has one socket (Port::vdev sees to it), which needs no group.
 */
int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	if (level == SOL_PACKET && name == PACKET_FANOUT) {
		remember_packet_socket(fd);
		return 0;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

/*
 * The driver net_af_xdp asks an interface for its combined channels, and takes
 * "none" for a single queue. Interfaces that count their receive queues by
 * themselves (veth) have several all the same: they are told as combined ones.
 * For such questions alone; the kernel's answer is else passed on as it is.
 */
int ioctl(int fd, unsigned long request, ...)
{
	struct ethtool_channels *channels;
	struct ifreq *question;
	va_list rest;
	void *argument;
	int result;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	result = (int)syscall(SYS_ioctl, fd, request, argument);
	if (request != SIOCETHTOOL || result != 0 || argument == NULL)
		return result;
	question = argument;
	channels = (struct ethtool_channels *)question->ifr_data;
	if (channels != NULL && channels->cmd == ETHTOOL_GCHANNELS &&
	    channels->max_combined == 0 && channels->rx_count > 0) {
		channels->max_combined = channels->max_rx;
		channels->combined_count = channels->rx_count;
	}
	return result;
}
