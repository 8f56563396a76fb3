using LlmProxy.Routing;

namespace LlmProxy.Passthrough;

/// <summary>What passes by unread, as targets and telemetry know it.</summary>
internal sealed class PassthroughFamily() : UnreadFamily(Name, "", Name, nameof(PassthroughRelay))
{
    /// <summary>Stands for the model's name where none is known.</summary>
    public const string Name = "passthrough";

    public static PassthroughFamily Instance { get; } = new() { HasOutput = true };
}
