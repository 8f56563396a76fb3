using Shared.Tools;

namespace Gateway.Hosting;

/// <summary>Prints a line whenever a tool server's state changes.</summary>
internal sealed class ToolServerAnnouncer(IToolServerStates states, BannerWriter writer) : IDisposable
{
    /// <summary>Begins.</summary>
    public void Start() => states.Changed += Announce;

    /// <inheritdoc/>
    public void Dispose() => states.Changed -= Announce;

    /// <summary>A server's line.</summary>
    public static BannerLine Line(ToolServerState server)
    {
        var tools = server.State == "connected" ? $", {server.Tools} tools" : "";
        var quarantined = server.Quarantined.Count == 0 ? "" : $", {server.Quarantined.Count} held back as unusable: {string.Join(", ", server.Quarantined)}";
        var problem = server.Problem is null ? "" : $": {server.Problem}";
        var tone = server.Problem is null && server.Quarantined.Count == 0 ? BannerTone.Plain : BannerTone.Warning;
        return new BannerLine(tone, $"  {server.Id,-16} {server.Transport}, {server.State}{tools}{quarantined}{problem}");
    }

    private void Announce(ToolServerState server) => writer.Write(Line(server));
}
