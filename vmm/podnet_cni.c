/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/podnet_cni.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "vmm/cni_result.h"
#include "vmm/netns.h"
#include "vmm/restrict.h"

#define STATE_MAX      (1 << 20) /* bytes of a network's file: configuration and result */
#define REMOVE_WAIT_MS 60000	 /* plugins are given half of it each */
#define RESTRICTED     "default-restricted"
#define NETNS_FILE     PODNET_DIR "/netns"

static char *netns_path(const char *uuid)
{
	return xasprintf(NETNS_DIR "/cni-%s", uuid);
}

static char *state_path(unsigned index)
{
	return xasprintf(PODNET_DIR "/%u", index);
}

static bool bool_of(struct json_object *obj, const char *key)
{
	struct error ignored = ERROR_INIT;
	bool value = false;

	json_get_bool(obj, key, &value, &ignored);
	return value;
}

static struct json_object *plugins_of(struct json_object *conf)
{
	struct json_object *plugins = NULL;
	struct error ignored = ERROR_INIT;

	json_get_array(conf, "plugins", &plugins, &ignored);
	return plugins;
}

static bool masquerades(struct json_object *conf)
{
	struct json_object *plugins = plugins_of(conf);

	for (size_t i = 0; i < json_object_array_length(plugins); i++)
		if (bool_of(json_object_array_get_idx(plugins, i), "ipMasq"))
			return true;
	return false;
}

/* Ports are published on the first network that masquerades, or on the last (section 8.6). */
static unsigned forwarding_network(const struct cni_networks *networks)
{
	for (unsigned i = 0; i < networks->n; i++)
		if (masquerades(networks->v[i].conf))
			return i;
	return networks->n - 1;
}

/* The configuration with a plugin that publishes ports, unless it has one. */
static struct json_object *with_portmap(struct json_object *conf)
{
	struct json_object *list = json_object_new_object(), *plugins = json_object_new_array();
	struct json_object *old = plugins_of(conf), *portmap, *capabilities = NULL;
	bool declared = false;

	for (size_t i = 0; i < json_object_array_length(old); i++) {
		struct json_object *plugin = json_object_array_get_idx(old, i);

		json_object_object_get_ex(plugin, "capabilities", &capabilities);
		declared |= capabilities && bool_of(capabilities, "portMappings");
		json_object_array_add(plugins, json_object_get(plugin));
	}
	if (!declared) {
		portmap = json_object_new_object();
		capabilities = json_object_new_object();
		json_add_string(portmap, "type", "portmap");
		json_add_bool(portmap, "snat", true);
		json_add_bool(capabilities, "portMappings", true);
		json_add(portmap, "capabilities", capabilities);
		json_object_array_add(plugins, portmap);
	}
	json_object_object_foreach(conf, key, value) if (strcmp(key, "plugins") != 0)
		json_add(list, key, json_object_get(value));
	json_add(list, "plugins", plugins);
	return list;
}

static struct json_object *ports_json(const struct pod_port *ports, unsigned n)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < n; i++) {
		struct json_object *entry = json_object_new_object(),
				   *target = json_object_new_object();

		json_add_string(entry, "name", "port");
		json_add_int(entry, "hostPort", ports[i].host);
		json_add_string(entry, "hostIP", ports[i].host_ip);
		json_add_string(target, "protocol", ports[i].udp ? "udp" : "tcp");
		json_add_int(target, "port", ports[i].pod);
		json_add(entry, "podPort", target);
		json_object_array_add(list, entry);
	}
	return list;
}

static int write_state(unsigned index, struct json_object *state, struct error *err)
{
	cleanup_free char *path = state_path(index);

	return file_write(AT_FDCWD, path, json_text(state), strlen(json_text(state)), 0600, err);
}

static bool is_restricted(const char *network)
{
	return strcmp(network, RESTRICTED) == 0;
}

/* The one interface that a result names on the host's side; NULL when there are none, or several. */
static const char *host_interface(struct json_object *result)
{
	struct json_object *interfaces = NULL;
	struct error ignored = ERROR_INIT;
	const char *found = NULL;

	json_get_array(result, "interfaces", &interfaces, &ignored);
	for (size_t i = 0; interfaces && i < json_object_array_length(interfaces); i++) {
		struct json_object *entry = json_object_array_get_idx(interfaces, i);
		const char *name = NULL, *sandbox = NULL;

		if (json_get_string(entry, "sandbox", &sandbox, &ignored) < 0 ||
		    (sandbox && *sandbox) || json_get_string(entry, "name", &name, &ignored) < 0)
			continue;
		if (found || !name || !if_nametoindex(name))
			return NULL;
		found = name;
	}
	return found;
}

/* The rules of a restricted network, which the state says are there. False: there are none. */
static bool restriction_of(struct json_object *state, const char *uuid, struct restriction *ret)
{
	struct error ignored = ERROR_INIT;
	const char *interface = NULL;

	if (json_get_string(state, "restricted", &interface, &ignored) < 0 || !interface)
		return false;
	*ret = (struct restriction){.interface = interface,
				    .uuid = uuid,
				    .ip4 = bool_of(state, "ip4"),
				    .ip6 = bool_of(state, "ip6")};
	return true;
}

/*
 * A guest takes its neighbours of the network's subnet to be on its link. On a link of its own they are
 * not, so the host answers for them, and forwards: ptp has such routes in the namespace.
 */
static int answer_for_neighbours(struct json_object *result, struct error *err)
{
	const char *interface = host_interface(result);
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;

	if (!interface)
		return 0;
	path = xasprintf("/proc/sys/net/ipv4/conf/%s/proxy_arp", interface);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return error_errno(err, "%s", path);
	return 0;
}

static bool has_family(const struct cni_result *leased, uint8_t family)
{
	for (unsigned i = 0; i < leased->naddresses; i++)
		if (leased->address[i].family == family)
			return true;
	return false;
}

/* Keep the host's other interfaces, and its own services, from a restricted pod. */
static int restrict_one(unsigned index, struct json_object *state, struct json_object *result,
			const char *uuid, struct error *err)
{
	const char *interface = host_interface(result);
	struct restriction what;
	struct cni_result leased;
	int r = cni_result_parse(result, &leased, err);

	if (r < 0)
		return r;
	free(leased.resolv);
	if (!interface)
		return error_set(err, -ENOTSUP,
				 "only a network with an interface of the host's for each pod, as "
				 "ptp makes it, can be restricted");
	json_add_string(state, "restricted", interface);
	json_add_bool(state, "ip4", has_family(&leased, 4));
	json_add_bool(state, "ip6", has_family(&leased, 6));
	r = write_state(index, state, err);
	if (r == 0 && restriction_of(state, uuid, &what))
		r = restrict_add(&what, err);
	return r;
}

/* Write down what is about to be made, make it, write down what it became. */
static int add_one(const struct cni_pod *pod, unsigned index, struct json_object *conf,
		   bool restricted, struct json_object **ret_result, struct error *err)
{
	cleanup_json struct json_object *state = json_object_new_object();
	struct json_object *result = NULL;
	int r;

	json_add_string(state, "ifName", pod->ifname);
	json_add_string(state, "args", pod->args);
	json_add_string(state, "localConfig", pod->local_config);
	json_add(state, "conf", json_object_get(conf));
	json_add(state, "ports", ports_json(pod->ports, pod->nports));
	r = write_state(index, state, err);
	if (r == 0)
		r = cni_add(conf, pod, &result, err);
	if (r < 0)
		return r;
	json_add(state, "result", json_object_get(result));
	*ret_result = result;
	r = write_state(index, state, err);
	if (r < 0)
		return r;
	return restricted ? restrict_one(index, state, result, pod->uuid, err)
			  : answer_for_neighbours(result, err);
}

/* What the guest is told, and its NIC's other end. */
static int fill_nic(struct podnet *net, unsigned index, struct json_object *result,
		    const struct cni_pod *pod, struct error *err)
{
	struct podnet_nic *nic = &net->nic[index];
	struct cni_result leased;
	struct netns_tap tap;
	int r = cni_result_parse(result, &leased, err);

	if (r < 0)
		return r;
	if (leased.resolv && !net->resolv && !net->resolv_said)
		net->resolv = xasprintf("# Generated by rkt from network %s\n\n%s", nic->name,
					leased.resolv);
	free(leased.resolv);
	nic->naddresses = leased.naddresses;
	nic->nroutes = leased.nroutes;
	memcpy(nic->address, leased.address, sizeof(nic->address));
	memcpy(nic->route, leased.route, sizeof(nic->route));
	nic->guard.addresses = is_restricted(nic->name);
	for (unsigned i = 0; i < leased.naddresses; i++) {
		if (leased.address[i].family == 4)
			memcpy(nic->guard.ip4[nic->guard.nip4++], leased.address[i].ip, 4);
		else
			memcpy(nic->guard.ip6[nic->guard.nip6++], leased.address[i].ip, 16);
	}
	r = netns_join(pod->netns, pod->ifname, index, &nic->guard, &tap, err);
	if (r < 0)
		return r;
	nic->fd = tap.fd;
	nic->mtu = tap.mtu;
	return 0;
}

static int add_network(struct podnet *net, unsigned index, const struct cni_pod *base,
		       const struct pod_spec *spec, struct error *err)
{
	const struct cni_network *network = &net->cni.v[index];
	bool forwards = spec->nports && index == forwarding_network(&net->cni);
	cleanup_json struct json_object *conf =
		forwards ? with_portmap(network->conf) : json_object_get(network->conf);
	cleanup_json struct json_object *result = NULL;
	struct cni_pod pod = *base;
	char ifname[] = "eth0";
	int r;

	ifname[3] = (char)('0' + index);
	pod.ifname = ifname;
	pod.args = network->args;
	pod.ports = spec->ports;
	pod.nports = forwards ? spec->nports : 0;
	r = cni_check(conf, &pod, err);
	if (r == 0)
		r = add_one(&pod, index, conf, is_restricted(network->name), &result, err);
	if (r == 0)
		r = fill_nic(net, index, result, &pod, err);
	return r < 0 ? error_wrap(err, "network %s", network->name) : 0;
}

/*
 * The process that outlives us to take the networks away. It holds the pod's lock as long as it takes,
 * so that nobody collects the pod meanwhile, and none of our descriptors beside.
 */
__attribute__((noreturn)) static void keep_watch(int pipe_end, const char *uuid)
{
	const char *lock = getenv("RKT_LOCK_FD");
	unsigned long long lock_fd;
	int null = open("/dev/null", O_RDWR);
	struct error ignored = ERROR_INIT;
	int last = 3;
	char byte;

	setsid(); /* what kills our process group is not meant for it */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	pipe_end = fcntl(pipe_end, F_DUPFD, 200);
	if (lock && str_to_u64(lock, INT32_MAX, &lock_fd) && dup2((int)lock_fd, last) == last)
		last++;
	dup2(pipe_end, last);
	syscall(SYS_close_range, last + 1, ~0U, 0);
	while (read(last, &byte, 1) < 0 && errno == EINTR)
		;
	podnet_cni_remove(uuid, &ignored);
	_exit(0);
}

static int start_watch(struct podnet *net, const char *uuid, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	net->watcher = fork();
	if (net->watcher == 0) {
		close(ends[1]);
		keep_watch(ends[0], uuid);
	}
	close(ends[0]);
	net->watched = ends[1];
	if (net->watcher < 0)
		return error_errno(err, "fork");
	net->watcher_pidfd = (int)syscall(SYS_pidfd_open, net->watcher, 0);
	return net->watcher_pidfd < 0 ? error_errno(err, "pidfd") : 0;
}

int podnet_cni_start(struct podnet *net, const struct stage1_args *args,
		     const struct pod_spec *spec, struct error *err)
{
	cleanup_free char *path = netns_path(args->uuid);
	const struct cni_pod pod = {
		.uuid = args->uuid, .netns = path, .local_config = stage1_local_config(args)};
	int r;

	if (geteuid() != 0)
		return error_set(err, -EPERM, "CNI networks need root; --net=user does not");
	r = mkdir_path(AT_FDCWD, PODNET_DIR, 0700, err);
	if (r == 0)
		r = file_write(AT_FDCWD, NETNS_FILE, path, strlen(path), 0600, err);
	if (r == 0)
		r = start_watch(net, args->uuid, err);
	if (r == 0)
		r = netns_new(path, err);
	for (unsigned i = 0; r == 0 && i < net->cni.n; i++)
		r = add_network(net, i, &pod, spec, err);
	return r;
}

void podnet_cni_end(struct podnet *net)
{
	struct pollfd pfd = {.fd = net->watcher_pidfd, .events = POLLIN};

	if (net->watcher_pidfd < 0)
		return;
	close_fd(&net->watched);
	if (poll(&pfd, 1, REMOVE_WAIT_MS) == 1)
		waitpid(net->watcher, NULL, 0);
	close_fd(&net->watcher_pidfd);
}

/* DEL what the file says. */
static int remove_one(unsigned index, const struct cni_pod *base, struct error *err)
{
	cleanup_free char *path = state_path(index), *text = NULL;
	cleanup_free struct pod_port *ports = xcalloc(POD_PORTS_MAX, sizeof(*ports));
	cleanup_json struct json_object *state = NULL;
	struct json_object *conf = NULL, *result = NULL;
	struct restriction restriction;
	struct cni_pod pod = *base;
	size_t len;
	int r;

	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	pod.ifname = pod.args = pod.local_config = "";
	r = file_read(AT_FDCWD, path, STATE_MAX, &text, &len, err);
	if (r == 0)
		r = json_parse(text, len, path, &state, err);
	if (r == 0)
		r = json_get_string(state, "ifName", &pod.ifname, err);
	if (r == 0)
		r = json_get_string(state, "args", &pod.args, err);
	if (r == 0)
		r = json_get_string(state, "localConfig", &pod.local_config, err);
	if (r == 0)
		r = json_get_object(state, "conf", &conf, err);
	if (r == 0)
		r = json_get_object(state, "result", &result, err);
	if (r == 0)
		r = pod_ports_parse(state, ports, POD_PORTS_MAX, &pod.nports, err);
	pod.ports = ports;
	if (r == 0 && restriction_of(state, base->uuid, &restriction))
		r = restrict_remove(&restriction, err);
	if (r == 0 && conf)
		r = cni_del(conf, result, &pod, err);
	if (r == 0 && unlink(path) < 0)
		r = error_errno(err, "%s", path);
	return r < 0 ? error_wrap(err, "network interface %s", pod.ifname) : 0;
}

int podnet_cni_remove(const char *uuid, struct error *err)
{
	cleanup_free char *path = netns_path(uuid);
	const struct cni_pod pod = {.uuid = uuid, .netns = path};
	int r = 0;

	if (faccessat(AT_FDCWD, NETNS_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, NETNS_FILE);
	for (unsigned i = CNI_NETWORKS_MAX; i-- > 0;) {
		struct error this = ERROR_INIT;

		if (remove_one(i, &pod, &this) < 0 && r == 0) {
			r = this.code;
			*err = this;
		}
	}
	if (r == 0)
		r = netns_remove(path, err);
	if (r == 0 && unlink(NETNS_FILE) < 0)
		r = error_errno(err, NETNS_FILE);
	return r;
}
