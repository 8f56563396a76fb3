using Gateway.Admin;
using Gateway.Commands;
using Gateway.Hosting;
using Gateway.SignIn;
using LlmProxy;
using McpHub;
using McpHub.Serving;
using Shared.Admission;
using Shared.Egress;
using Shared.Http;
using Shared.Snapshots;
using Shared.Storage;
using Shared.Telemetry;

namespace Gateway;

/// <summary>The process: what it is made of, in the order in which a request meets it.</summary>
internal static class Program
{
    public static Task<int> Main(string[] args) => CommandLine.RunAsync(args, Console.Out, Console.Error);

    /// <summary>Puts the gateway together. Opens the data folder; listens and loads the configuration only when it is started.</summary>
    /// <param name="options">What the command line said.</param>
    /// <param name="adjust">Changes made last, by tests.</param>
    internal static WebApplication Build(ServeOptions options, Action<WebApplicationBuilder>? adjust = null)
    {
        var (builder, listener) = Compose(options, services => services.AddStorage(new StorageOptions { Folder = options.DataFolder }));
        adjust?.Invoke(builder);

        var app = builder.Build();
        app.UseGatewayRequests();
        app.MapGatewayTelemetry(metricsCaller: () => listener.IsLocal ? CallerKind.Anonymous : CallerKind.Admin);
        app.MapAdminApi();
        app.MapLlmProxy();
        app.MapMcpHub();
        app.MapSignIn();
        return app;
    }

    /// <summary>The gateway's services; a check of the configuration has them too, without the data folder.</summary>
    /// <param name="options">What the command line said.</param>
    /// <param name="addStorage">Adds what keeps the data, before the services that serve calls.</param>
    internal static (WebApplicationBuilder Builder, Listener Listener) Compose(ServeOptions options, Action<IServiceCollection> addStorage)
    {
        var builder = WebApplication.CreateSlimBuilder(options.ToHostOptions());
        builder.AddGatewayLogging();
        var listener = builder.AddListener(options);
        addStorage(builder.Services);
        builder.Services.AddSnapshots(options.ToSnapshotPaths());
        builder.Services.AddEgress();
        builder.Services.AddAdmission();
        builder.Services.AddGatewayRequests();
        builder.Services.AddGatewayTelemetry();
        builder.Services.AddLlmProxy();
        builder.Services.AddMcpHub();
        builder.Services.AddAdminApi();
        builder.Services.AddAuthorizationServer();
        return (builder, listener);
    }
}
