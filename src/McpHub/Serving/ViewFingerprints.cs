using McpHub.Catalog;
using McpHub.Features;
using ModelContextProtocol.Protocol;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Serving;

/// <summary>What the lists that a caller sees look like, so that each is told of changes of its own lists only.</summary>
/// <param name="Tools">Tools.</param>
/// <param name="Prompts">Prompts.</param>
/// <param name="Resources">Resources and templates.</param>
internal sealed record ViewFingerprints(string Tools, string Prompts, string Resources)
{
    /// <summary>Those of nothing that ever was.</summary>
    public static ViewFingerprints None { get; } = new("", "", "");

    /// <summary>Those of a caller.</summary>
    public static ViewFingerprints Of(IToolViews tools, IFeatures features, Snapshot snapshot, VirtualKey key, ToolScope scope)
    {
        var view = features.ViewOf(snapshot, key, scope);
        return new ViewFingerprints(tools.ViewOf(snapshot, key, scope).Fingerprint, view.Prompts.Fingerprint, view.Resources.Fingerprint + view.Templates.Fingerprint);
    }

    /// <summary>The notifications that are due when these become those.</summary>
    public IReadOnlyList<string> NotificationsTo(ViewFingerprints next)
    {
        if (this == next)
        {
            return [];
        }
        List<string> due = [];
        if (Tools != next.Tools)
        {
            due.Add(NotificationMethods.ToolListChangedNotification);
        }
        if (Prompts != next.Prompts)
        {
            due.Add(NotificationMethods.PromptListChangedNotification);
        }
        if (Resources != next.Resources)
        {
            due.Add(NotificationMethods.ResourceListChangedNotification);
        }
        return due;
    }
}
