using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Shared.Egress;
using Shared.SignIn;

namespace Gateway.Tests.SignIn;

/// <summary>Serves metadata documents of clients over TLS on a loopback port, and has a gateway trust its certificate.</summary>
internal sealed class ClientDocuments : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly X509Certificate2 certificate;
    private readonly ConcurrentQueue<string> requests = new();

    private ClientDocuments(WebApplication app, X509Certificate2 certificate) => (this.app, this.certificate) = (app, certificate);

    /// <summary>Its address, by name.</summary>
    public string Address { get; private set; } = "";

    /// <summary>The paths that were asked for.</summary>
    public IReadOnlyList<string> Requests => [.. requests];

    /// <summary>The document at a path; null: there is none.</summary>
    public Func<string, JsonObject?> Document { get; set; } = _ => null;

    /// <summary>Where a path leads to; null: nowhere.</summary>
    public Func<string, string?> Redirect { get; set; } = _ => null;

    public static async Task<ClientDocuments> StartAsync()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var now = TimeProvider.System.GetUtcNow();
        using var made = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        var app = builder.Build();
        var documents = new ClientDocuments(app, certificate);
        app.Run(documents.HandleAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        documents.Address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single().Replace("127.0.0.1", "localhost", StringComparison.Ordinal);
        return documents;
    }

    /// <summary>A document as clients publish it.</summary>
    public JsonObject Usual(string path, string redirect = "http://127.0.0.1:53682/callback") => new()
    {
        ["client_id"] = Address + path,
        ["client_name"] = "Documented client",
        ["redirect_uris"] = new JsonArray(redirect),
        ["token_endpoint_auth_method"] = "none",
    };

    /// <summary>Has a gateway trust the certificate; what may be connected to at all is the configuration's.</summary>
    public void Trust(WebApplicationBuilder gateway) => gateway.Services.Replace(ServiceDescriptor.Singleton<SignInConnections>(services =>
        new Connections(services.GetRequiredService<EgressPolicy>(), certificate.GetCertHashString(HashAlgorithmName.SHA256))));

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        certificate.Dispose();
    }

    private Task HandleAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        requests.Enqueue(path);
        if (Redirect(path) is { } elsewhere)
        {
            context.Response.Redirect(elsewhere);
            return Task.CompletedTask;
        }
        if (Document(path) is not { } document)
        {
            context.Response.StatusCode = 404;
            return Task.CompletedTask;
        }
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(document.ToJsonString(), context.RequestAborted);
    }

    private sealed class Connections(EgressPolicy egress, string hash) : SignInConnections(egress)
    {
        protected override SocketsHttpHandler NewHandler(EgressTrust trust)
        {
            var handler = base.NewHandler(trust);
            handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString(HashAlgorithmName.SHA256) == hash;
            return handler;
        }
    }
}
