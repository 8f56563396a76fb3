namespace Gateway.Hosting;

/// <summary>The version of this program.</summary>
internal static class GatewayVersion
{
    /// <summary>As people write it, e.g. <c>0.1.0</c>.</summary>
    public static string Text { get; } = typeof(GatewayVersion).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";
}
