using Gateway.Tests.Interop;
using Gateway.Tests.Tools;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using TestSupport;

namespace Gateway.Tests.Conformance;

/// <summary>A gateway before the conformance server, which is declared several times: as a server of either era, and with a connection for each session. The suite knows no keys, so one is put into its requests.</summary>
public sealed class ConformanceSetup : IAsyncLifetime
{
    private static readonly TimeSpan StartGuard = TimeSpan.FromSeconds(60);

    private readonly string folder = Directory.CreateTempSubdirectory("gateway-conformance-server-").FullName;
    private ChildProcess? server;
    private TestGateway? gateway;

    /// <summary>Where the gateway listens.</summary>
    public Uri BaseAddress => gateway!.BaseAddress;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var listening = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        var output = new DirectoryInfo(AppContext.BaseDirectory);
        server = ChildProcess.Start("dotnet", [Path.Combine(output.Parent!.Parent!.FullName, "ConformanceServer", output.Name, "ConformanceServer.dll")], folder, new Dictionary<string, string>(), line =>
        {
            if (line.StartsWith("Listening on ", StringComparison.Ordinal))
            {
                listening.TrySetResult(line["Listening on ".Length..]);
            }
        });
        var endpoint = await listening.Task.WaitAsync(StartGuard, cancellationToken);
        string? key = null;
        gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = "limits: {maxSessionsPerKey: 500}",
            Manifests = new Dictionary<string, string>
            {
                ["handshake.yaml"] = Manifest("handshake", endpoint, "2025-11-25", "shared", "handshake"),
                ["stateless.yaml"] = Manifest("stateless", endpoint, "2026-07-28", "shared", "stateless"),
                ["session.yaml"] = Manifest("session", endpoint, "2025-11-25", "perSession", "session"),
                ["plain.yaml"] = Manifest("plain", endpoint, "2025-11-25", "shared", ""),
            },
            Builder = builder => builder.Services.AddSingleton<IStartupFilter>(new KeyFilter(() => key)),
        }, cancellationToken);
        key = gateway.VirtualKey;
        foreach (var id in (string[])["handshake", "stateless", "session", "plain"])
        {
            await ToolCaller.WaitForAsync(gateway, id, state => state.State == "connected");
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (gateway is not null)
        {
            await gateway.DisposeAsync();
        }
        if (server is not null)
        {
            await server.DisposeAsync();
        }
        Directory.Delete(folder, recursive: true);
    }

    private static string Manifest(string id, string endpoint, string protocol, string session, string prefix) => $$"""
        apiVersion: hub/v1
        kind: ToolManifest
        metadata: {id: {{id}}}
        upstream:
          url: {{endpoint}}
          protocol: "{{protocol}}"
          session: {{session}}
        expose: {prefix: "{{prefix}}"}
        """;

    /// <summary>Puts a key into requests that carry none.</summary>
    private sealed class KeyFilter(Func<string?> key) : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
        {
            app.Use((context, following) =>
            {
                if (key() is { } known && context.Request.Headers.Authorization.Count == 0)
                {
                    context.Request.Headers.Authorization = $"Bearer {known}";
                }
                return following(context);
            });
            next(app);
        };
    }
}
