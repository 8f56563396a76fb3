using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>A tool and a prompt that come and go, so that clients can be told of it.</summary>
internal sealed class ChangingTools
{
    private readonly McpServerTool tool = McpServerTool.Create(() => "here", new McpServerToolCreateOptions { Name = "test_changing_tool", Description = "Comes and goes" });
    private readonly McpServerPrompt prompt = McpServerPrompt.Create(() => "here", new McpServerPromptCreateOptions { Name = "test_changing_prompt", Description = "Comes and goes" });

    public McpServerPrimitiveCollection<McpServerTool> Tools { get; } = [];

    public McpServerPrimitiveCollection<McpServerPrompt> Prompts { get; } = [];

    public void ChangeTools()
    {
        if (!Tools.Remove(tool))
        {
            Tools.Add(tool);
        }
    }

    public void ChangePrompts()
    {
        if (!Prompts.Remove(prompt))
        {
            Prompts.Add(prompt);
        }
    }
}
