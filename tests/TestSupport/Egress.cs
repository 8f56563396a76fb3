using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Egress;
using Shared.Snapshots;

namespace TestSupport;

/// <summary>Egress policies for tests of parts.</summary>
public static class TestEgress
{
    /// <summary>A policy without exceptions.</summary>
    public static EgressPolicy NewPolicy() => new(new SnapshotStore(), Dns.GetHostAddressesAsync, NullLogger<EgressPolicy>.Instance);
}
