using System.Collections.Concurrent;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Logging;
using Shared.Configuration;
using Shared.Egress;
using Shared.Snapshots;
using Shared.Stored;
using Shared.Tools;

namespace McpHub.Upstreams.SignIn;

/// <summary>Signs the gateway, and people by it, in at upstream tool servers. Made when the first manifest wants it.</summary>
internal sealed class UpstreamSignIn : IToolServerSignIn, IDisposable
{
    private readonly SnapshotStore snapshots;
    private readonly IServer server;
    private readonly Func<IToolServerAdministration> administration;
    private readonly ConcurrentDictionary<string, ServerSignIn> servers = new(StringComparer.Ordinal);
    private readonly Lock gate = new();

    public UpstreamSignIn(SnapshotStore snapshots, EgressPolicy egress, UpstreamGrants store, IServer server, Func<IToolServerAdministration> administration, TimeProvider clock, ILogger<UpstreamSignIn> logger)
    {
        (this.snapshots, this.server, this.administration, Store, Clock, Logger) = (snapshots, server, administration, store, clock, logger);
        Http = new OAuthHttp(egress, clock);
        Flows = new SignInFlows(clock);
        Identity = new GatewayIdentity(store, BaseAddress, clock);
    }

    public UpstreamGrants Store { get; }

    public TimeProvider Clock { get; }

    public ILogger Logger { get; }

    public OAuthHttp Http { get; }

    public SignInFlows Flows { get; }

    public GatewayIdentity Identity { get; }

    /// <summary>What callers signed in to the gateway with, by server and subject, as they came last.</summary>
    public ConcurrentDictionary<(string Server, string Subject), Secret> Callers { get; } = new();

    /// <summary>Signs in at a server as its manifest says now; what was granted under another version of the manifest is looked up again.</summary>
    public ServerSignIn Of(ToolManifest manifest)
    {
        lock (gate)
        {
            if (servers.TryGetValue(manifest.Id, out var known))
            {
                if (known.Manifest.Address == manifest.Address && known.Manifest.Auth!.Signature == manifest.Auth!.Signature && known.Manifest.FromAdminApi == manifest.FromAdminApi)
                {
                    return known;
                }
                Flows.EndOf(known);
            }
            return servers[manifest.Id] = new ServerSignIn(manifest, this);
        }
    }

    /// <summary>The gateway's address for browsers, without a slash at its end.</summary>
    public string BaseAddress() => snapshots.Current.Settings.PublicUrl
        ?? (server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() ?? "http://127.0.0.1:8080")
            .Replace("://0.0.0.0", "://127.0.0.1", StringComparison.Ordinal).Replace("://[::]", "://127.0.0.1", StringComparison.Ordinal).Replace("://+", "://127.0.0.1", StringComparison.Ordinal).Replace("://*", "://127.0.0.1", StringComparison.Ordinal).TrimEnd('/');

    /// <summary>Where authorization servers send people back to.</summary>
    public string RedirectUri(string baseAddress) => $"{baseAddress}/oauth/upstream/callback";

    /// <summary>The address of the gateway's description of itself as a client; null: nobody but this network can read it.</summary>
    public string? OwnDocument(string baseAddress) => snapshots.Current.Settings.PublicUrl is { } address && address == baseAddress && address.StartsWith("https://", StringComparison.Ordinal) ? $"{address}/oauth/upstream/client.json" : null;

    public async Task<SignInLink> StartAsync(string id, string subject, CancellationToken cancellationToken)
    {
        var manifest = Find(id);
        try
        {
            var flow = await Of(manifest).StartAsync(subject, [], cancellationToken);
            return new SignInLink(flow.Link, flow.ExpiresAt, flow.Authority.Issuer, flow.Scopes);
        }
        catch (SignInException exception)
        {
            throw new SignInRefusedException(exception.IsTransient ? SignInRefusal.Unavailable : SignInRefusal.Refused, $"Nobody can sign in at the tool server '{id}' now: {exception.Message}", exception);
        }
    }

    public IReadOnlyList<SignInState> ReadStates(string id)
    {
        var manifest = Find(id);
        var now = Clock.GetUtcNow();
        return [.. Store.Read(id).GroupBy(row => row.Subject).Select(rows => rows.MaxBy(row => row.ChangedAt)!).Select(row =>
        {
            var grant = row.Content is null ? null : Grant.Of(row.Content);
            var isHere = grant is not null && grant.Server == manifest.Address!.AbsoluteUri;
            var state = isHere && (grant!.RefreshToken is not null || grant.IsValidAt(now)) ? "signedIn" : "mustSignIn";
            return new SignInState(row.Subject, row.Issuer, state, row.CreatedAt, row.ChangedAt, isHere ? grant!.ExpiresAt : null, grant?.Scopes ?? []);
        }).OrderBy(state => state.Subject, StringComparer.Ordinal)];
    }

    public bool SignOut(string id, string subject, ChangedBy by)
    {
        Find(id);
        var deleted = Store.Delete(id, subject, by);
        if (servers.TryGetValue(id, out var known))
        {
            known.Forget(subject);
        }
        return deleted;
    }

    /// <summary>Ends a flow well: a server that waited for it is connected at once.</summary>
    public void Completed(SignInFlow flow)
    {
        flow.End(null);
        administration().Hasten(flow.Server.Manifest.Id);
    }

    public void Dispose() => Http.Dispose();

    private ToolManifest Find(string id)
    {
        var manifest = snapshots.Current.Manifests.FirstOrDefault(manifest => manifest.Id == id);
        return manifest is { Enabled: true, Auth.Mode: UpstreamAuthMode.Oauth } ? manifest
            : throw new SignInRefusedException(SignInRefusal.NotForPeople, manifest is { Enabled: false } ? $"The tool server '{id}' is switched off by its manifest."
                : $"Nobody signs in at the tool server '{id}': its manifest has no 'upstream.auth' of the mode 'oauth'.");
    }
}

internal static partial class SignInLog
{
    [LoggerMessage(LogLevel.Information, "Tool server {Server}: {Subject} signed in at {Issuer}.")]
    public static partial void SignedIn(this ILogger logger, string server, string subject, string issuer);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: the grant of {Subject} has ended, somebody must sign in anew: {Problem}")]
    public static partial void GrantEnded(this ILogger logger, string server, string subject, string problem);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: the token of {Subject} was not renewed: {Problem} {Detail}")]
    public static partial void NotRenewed(this ILogger logger, string server, string subject, string problem, string? detail);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: the sign-in of {Subject} failed: {Problem}")]
    public static partial void SignInFailed(this ILogger logger, string server, string subject, string problem);
}
