// A server with the names that the official conformance suite asks for. Argument: the port to listen on, on loopback; 0 (the default) takes a free one, and the address is printed.
#pragma warning disable MCP9005, MCP9006 // Sampling, logging and sessions are deprecated, and the suite tests them all the same.
using ConformanceServer;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.AspNetCore;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseSetting("urls", $"http://127.0.0.1:{(args.Length > 0 ? args[0] : "0")}");
builder.Configuration["AllowedHosts"] = "localhost;127.0.0.1;[::1]";
builder.Services.AddHostFiltering(_ => { });
var tools = new ChangingTools();
builder.Services.AddDistributedMemoryCache();
builder.Services.AddMcpServer(options => Fixture.Configure(options, tools))
    .WithHttpTransport(options => options.SessionMode = HttpServerSessionMode.StatefulForInitializeClients)
    .WithDistributedCacheEventStreamStore();
await using var app = builder.Build();
app.UseHostFiltering();
app.MapMcp("/mcp");
await app.StartAsync();
Console.WriteLine($"Listening on {app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()}/mcp");
await app.WaitForShutdownAsync();
