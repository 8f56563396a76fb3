using System.Text.Json;
using Shared.Telemetry;
using Shared.Tools;

namespace Gateway.Admin;

/// <summary><c>GET /admin/v1/toolservers</c>.</summary>
internal static class ToolServerEndpoint
{
    public static Task ListAsync(HttpContext context)
    {
        var servers = context.RequestServices.GetRequiredService<IToolServerStates>().ReadAll();
        return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("servers");
            foreach (var server in servers)
            {
                Write(json, server);
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static void Write(Utf8JsonWriter json, ToolServerState server)
    {
        json.WriteStartObject();
        json.WriteString("id", server.Id);
        json.WriteString("title", server.Title);
        json.WriteString("transport", server.Transport);
        json.WriteString("state", server.State);
        json.WriteNumber("tools", server.Tools);
        AdminJson.WriteTexts(json, "quarantined", server.Quarantined);
        json.WriteString("problem", server.Problem);
        json.WriteEndObject();
    }
}

/// <summary>A tool server that is away leaves the gateway ready: the others, and the models, are there.</summary>
internal sealed class ToolServersCheck(IToolServerStates states) : IReadinessCheck
{
    public string Name => "toolServers";

    public Readiness Check()
    {
        var away = states.ReadAll().Where(server => server.State is not ("connected" or "disabled")).Select(server => $"{server.Id}: {server.State}").ToList();
        return away.Count == 0 ? Readiness.Ok : new Readiness(ReadinessState.Degraded, away);
    }
}

/// <summary>A gateway without a tool plane.</summary>
internal sealed class NoToolServers : IToolServerStates
{
    public event Action<ToolServerState>? Changed
    {
        add { }
        remove { }
    }

    public IReadOnlyList<ToolServerState> ReadAll() => [];
}
